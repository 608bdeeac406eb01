import { testApp } from 'millrace/testing';
import { celsius } from './02-streams/app.ts';
const app = await testApp(import('./02-streams/app.ts')) as any;
await app.emit(celsius, { sensor: 'attic', degrees: 1 });
const p = app.idle();
setTimeout(()=>{ console.log(JSON.stringify(app.debug.consumers.list()), JSON.stringify(app.debug.functions.list().map((f:any)=>({...f,manifest:0}))), app.debug.clock?.pending?.()); process.exit(1)}, 1500);
await p; console.log('idle'); process.exit(0);
