import type { CommandEntry } from './command.ts';

/** Every command, in the order of the help; each file is loaded when its command is used. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'start', summary: 'run the platform', load: () => import('./start.ts') },
  { name: 'init', summary: 'a new app that runs', load: () => import('./init.ts') },
  {
    name: 'dev',
    summary: 'the platform and apps in one process, reloaded on save',
    load: () => import('./dev.ts'),
  },
  { name: 'plan', summary: 'how an app differs from what runs', load: () => import('./plan.ts') },
  { name: 'deploy', summary: 'build an app and make it run', load: () => import('./deploy.ts') },
  { name: 'versions', summary: 'what was deployed', load: () => import('./versions.ts') },
  { name: 'rollback', summary: 'go back to an earlier version', load: () => import('./rollback.ts') },
  {
    name: 'release',
    summary: 'release a version of a model, or see how that goes',
    load: () => import('./release.ts'),
  },
  {
    name: 'model',
    summary: 'register, stage, find and remove versions of models',
    load: () => import('./model.ts'),
  },
  { name: 'status', summary: 'how the platform is', load: () => import('./status.ts') },
  { name: 'ls', summary: 'what there is', load: () => import('./ls.ts') },
  { name: 'show', summary: 'an app, a function or a stream in full', load: () => import('./show.ts') },
  { name: 'invoke', summary: 'call a function', load: () => import('./invoke.ts') },
  { name: 'emit', summary: 'publish records', load: () => import('./emit.ts') },
  { name: 'tail', summary: 'follow records', load: () => import('./tail.ts') },
  {
    name: 'redrive',
    summary: 'give dead letters to their function again',
    load: () => import('./redrive.ts'),
  },
  { name: 'logs', summary: 'what functions and the platform logged', load: () => import('./logs.ts') },
  { name: 'top', summary: 'what happens now, live', load: () => import('./top.ts') },
  { name: 'train', summary: 'learn a model from a file or a stream', load: () => import('./train.ts') },
  { name: 'secret', summary: 'set, list and remove secrets', load: () => import('./secret.ts') },
  { name: 'token', summary: 'make, list and revoke access tokens', load: () => import('./token.ts') },
  { name: 'streams', summary: 'copy streams to a Kafka cluster', load: () => import('./streams.ts') },
  { name: 'verify', summary: 'read all stored data and name damages', load: () => import('./verify.ts') },
  {
    name: 'completion',
    summary: 'completion for bash, zsh and fish',
    load: () => import('./completion.ts').then(({ completionOf }) => ({ command: completionOf(COMMANDS) })),
  },
];
