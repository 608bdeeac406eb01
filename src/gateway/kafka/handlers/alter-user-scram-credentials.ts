import { MillraceError } from '../../../kernel/index.ts';
import { AlterUserScramCredentials, type RequestOf } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { type Outcome, outcomeOfError, refusal } from '../outcome.ts';
import { mechanismOf } from '../scram-codes.ts';

type Request = RequestOf<typeof AlterUserScramCredentials>;

/** Sets and removes passwords. Those that are set come salted: the password itself never arrives. */
export function alterUserScramCredentialsHandler({
  scram,
}: Broker): Handler<typeof AlterUserScramCredentials> {
  const change = async (user: string, { deletions, upsertions }: Request): Promise<void> => {
    const deleted = deletions.filter(({ name }) => name === user);
    const set = upsertions.filter(({ name }) => name === user);
    const mechanisms = [...deleted, ...set].map(({ mechanism }) => mechanism);
    if (new Set(mechanisms).size !== mechanisms.length) {
      throw new KafkaError('DUPLICATE_RESOURCE', `A mechanism of user '${user}' is named more than once.`);
    }
    if (mechanisms.some((code) => !mechanismOf(code))) throw new KafkaError('UNSUPPORTED_SASL_MECHANISM');
    for (const { mechanism } of deleted) await scram.remove(user, mechanismOf(mechanism)!);
    for (const { mechanism, ...rest } of set)
      await scram.put(user, { ...rest, mechanism: mechanismOf(mechanism)! });
  };

  const outcome = async (user: string, request: Request): Promise<Outcome> => {
    try {
      await change(user, request);
      return { errorCode: 0, errorMessage: null };
    } catch (error) {
      if (!(error instanceof MillraceError)) return outcomeOfError(error);
      const name = error.code === 'NOT_FOUND' ? 'RESOURCE_NOT_FOUND' : 'UNACCEPTABLE_CREDENTIAL';
      return refusal(name, error.message);
    }
  };

  return {
    api: AlterUserScramCredentials,
    async handle(request, { permits }) {
      const users = new Set([...request.deletions, ...request.upsertions].map(({ name }) => name));
      const isPermitted = permits('administer', 'platform/kafka');
      const results = [];
      for (const user of users) {
        const result = isPermitted
          ? await outcome(user, request)
          : refusal('CLUSTER_AUTHORIZATION_FAILED', 'Not permitted.');
        results.push({ user, ...result });
      }
      return { results };
    },
  };
}
