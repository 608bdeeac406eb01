import { startFunctionPlatform } from '../support/function-platform.ts';
import { define, deploy, publish } from './kill-exactly-once.app.ts';

/** Runs the platform on the folder named, publishes and processes until it is killed. */
const platform = await startFunctionPlatform(process.argv[2]!);
await define(platform);
await deploy(platform);
process.stdout.write('ready\n');
for (;;) await publish(platform, 40);
