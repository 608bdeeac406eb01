export { testApp } from './test-app.ts';
export type { AppModule, TestApp, TestAppOptions } from './test-app.types.ts';
