import {
  type AppVersion,
  type Deployable,
  type ErrorCode,
  type Manifest,
  MillraceError,
  type PlannedChange,
} from '../kernel/index.ts';

/** What a deployment would do, as a list of readable differences. */
export interface DeploymentPlan {
  readonly app: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly changes: readonly PlannedChange[];
  /** Whether any change has a refusal. */
  readonly refused: boolean;
}

export interface PlanInput {
  readonly app: string;
  readonly current: AppVersion | undefined;
  readonly next: AppVersion | undefined;
  /** Active manifests of the other apps, and those that are deployed along with this one. */
  readonly others: readonly Manifest[];
  readonly engines: readonly Deployable[];
}

interface Named {
  readonly name: string;
  readonly kind: 'stream' | 'function' | 'model';
}

const namesOf = (manifest: Manifest | undefined): Named[] => [
  ...(manifest?.streams ?? []).map(({ name }): Named => ({ name, kind: 'stream' })),
  ...(manifest?.functions ?? []).map(({ name }): Named => ({ name, kind: 'function' })),
  ...(manifest?.models ?? []).map(({ name }): Named => ({ name, kind: 'model' })),
];

/** Names are global: each belongs to the app that exports it. */
function takenNames({ next, others }: PlanInput): PlannedChange[] {
  const owners = new Map(
    others.flatMap((each) => namesOf(each).map(({ name }) => [name, each.app] as const)),
  );
  return namesOf(next?.manifest).flatMap(({ kind, name }): PlannedChange[] => {
    const owner = owners.get(name);
    if (owner === undefined) return [];
    const refusal = `The name '${name}' belongs to the app '${owner}'. Choose another, or import it from there.`;
    return [{ resource: `${kind}/${name}`, action: 'create', details: [], refusal, code: 'NAME_TAKEN' }];
  });
}

/** Streams that are referred to are the streams engine's to check: some belong to no app. */
function missingFunctions({ next, others }: PlanInput): PlannedChange[] {
  const there = new Set(others.flatMap((each) => each.functions.map(({ name }) => name)));
  const referred = (next?.manifest.references ?? []).filter((each) => each.kind === 'function');
  return referred
    .filter((each) => !there.has(each.name))
    .map(({ name }): PlannedChange => {
      const refusal = `There is no function '${name}', which the app imports from another. Deploy the app that exports it first.`;
      return {
        resource: `function/${name}`,
        action: 'keep',
        details: [],
        refusal,
        code: 'REFERENCE_MISSING',
      };
    });
}

/** A function that others call cannot go; a stream that others read stays, because streams are only detached. */
function stillNeeded({ current, next, others }: PlanInput): PlannedChange[] {
  const staying = new Set(next?.manifest.functions.map((each) => each.name));
  const leaving = (current?.manifest.functions ?? []).filter((each) => !staying.has(each.name));
  return leaving.flatMap(({ name }): PlannedChange[] => {
    const user = others.find((each) =>
      each.references.some((reference) => reference.kind === 'function' && reference.name === name),
    );
    if (!user) return [];
    const refusal = `The app '${user.app}' calls the function '${name}'. Change that app first.`;
    return [{ resource: `function/${name}`, action: 'remove', details: [], refusal }];
  });
}

/** A stream that an engine misses may come with another app of the same deployment. */
function arrives({ code, resource }: PlannedChange, { others }: PlanInput): boolean {
  if (code !== 'REFERENCE_MISSING') return false;
  return others.some((each) => namesOf(each).some(({ kind, name }) => resource === `${kind}/${name}`));
}

export async function planDeployment(input: PlanInput): Promise<DeploymentPlan> {
  const { app, current, next, engines } = input;
  const own = [...takenNames(input), ...missingFunctions(input), ...stillNeeded(input)];
  const refusedHere = new Set(own.map((change) => change.resource));
  const changes = [...own];
  for (const engine of engines) {
    const planned = await engine.plan(current, next);
    changes.push(...planned.filter((change) => !refusedHere.has(change.resource) && !arrives(change, input)));
  }
  return {
    app,
    from: current?.version ?? null,
    to: next?.version ?? null,
    changes,
    refused: changes.some((change) => change.refusal !== undefined),
  };
}

/** Throws the error of a plan that is refused: the code of its first refusal, the reasons of all. */
export function checkPlan(plan: DeploymentPlan): void {
  const refusals = plan.changes.filter((change) => change.refusal !== undefined);
  const [first] = refusals;
  if (!first) return;
  const code: ErrorCode = first.code ?? 'DEPLOY_REFUSED';
  const lines = refusals.map((change) => `  ${change.resource}: ${change.refusal}`).join('\n');
  throw new MillraceError(
    code,
    `The app '${plan.app}' was not deployed; what ran goes on running.\n${lines}`,
    {
      errors: refusals.map((change) => ({ path: `/${change.resource}`, message: change.refusal! })),
    },
  );
}
