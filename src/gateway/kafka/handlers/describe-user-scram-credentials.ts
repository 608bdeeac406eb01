import { DescribeUserScramCredentials } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { refusal } from '../outcome.ts';
import { codeOf } from '../scram-codes.ts';

/** Who has a password, and for which mechanisms. */
export function describeUserScramCredentialsHandler({
  scram,
}: Broker): Handler<typeof DescribeUserScramCredentials> {
  return {
    api: DescribeUserScramCredentials,
    async handle({ users }, { permits }) {
      if (!permits('administer', 'platform/kafka')) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
      const all = await scram.list();
      const known = new Map(all.map(({ user, credentials }) => [user, credentials]));
      const asked = users && users.length > 0 ? users.map(({ name }) => name) : [...known.keys()];
      return {
        errorCode: 0,
        errorMessage: null,
        results: asked.map((user) => {
          const credentials = known.get(user);
          const times = asked.filter((name) => name === user).length;
          const outcome =
            times > 1
              ? refusal('DUPLICATE_RESOURCE', `User '${user}' is named more than once.`)
              : credentials
                ? { errorCode: 0, errorMessage: null }
                : refusal('RESOURCE_NOT_FOUND', `User '${user}' has no password.`);
          const infos = outcome.errorCode === 0 ? credentials! : [];
          return {
            user,
            ...outcome,
            credentialInfos: infos.map(({ mechanism, iterations }) => ({
              mechanism: codeOf(mechanism),
              iterations,
            })),
          };
        }),
      };
    },
  };
}
