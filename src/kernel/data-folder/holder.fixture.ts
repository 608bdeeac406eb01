import { systemClock } from '../clock.ts';
import { openDataFolder } from './data-folder.ts';

/** Opens the data folder, says so, and holds it until it is killed. */
const folder = await openDataFolder({ path: process.argv[2]!, clock: systemClock() });
process.stdout.write('open\n');
process.stdin.resume().once('end', () => folder.close());
