import type { TestAppFunction } from './test-app.types.ts';

export type { AppModule, TestApp, TestAppOptions } from './test-app.types.ts';

export declare const testApp: TestAppFunction;
