import type { kafkaSection } from '../gateway/index.ts';
import { checkDoor, type Tokens } from '../govern/index.ts';
import { type Config, MillraceError, type platformSection, type Service } from '../kernel/index.ts';
import type { streamsSection } from '../streams/index.ts';

type DoorConfig = Config<[typeof platformSection, typeof kafkaSection, typeof streamsSection]>;

/** Refuses the start when a door would be open to others unprotected. */
export function doorCheck(config: DoorConfig, tokens: Tokens): Service {
  const { apiHost, apiPort, kafkaHost, kafkaPort, inferenceHost, inferencePort } = config.platform;
  const { tlsCertificate, tlsKey, tlsEndsInFront } = config.platform;
  return {
    name: 'doors',
    async start() {
      if ((tlsCertificate === null) !== (tlsKey === null)) {
        throw new MillraceError(
          'CONFIG_INVALID',
          'TLS needs both --tls-certificate and --tls-key. Give the other one too.',
        );
      }
      const tls = tlsCertificate !== null;
      const clientCa = config.kafka.kafkaClientCa !== null;
      if (clientCa && !tls) {
        throw new MillraceError(
          'CONFIG_INVALID',
          'Client certificates (--kafka-client-ca) are part of TLS. Give --tls-certificate and --tls-key too.',
        );
      }
      const authentication = (await tokens.list()).length > 0;
      const check = (door: 'api' | 'kafka' | 'inference', host: string, port: number | 'off'): void => {
        const known = authentication || (door === 'kafka' && clientCa);
        if (port !== 'off') checkDoor({ door, host, tls, tlsEndsInFront, authentication: known });
      };
      check('api', apiHost, apiPort);
      if (config.streams.streams === 'embedded') check('kafka', kafkaHost, kafkaPort);
      check('inference', inferenceHost, inferencePort);
    },
  };
}

/** What a door is given for TLS, where there is a certificate. */
export function tlsOf({ platform }: Pick<DoorConfig, 'platform'>, clientCaFile: string | null = null) {
  const { tlsCertificate, tlsKey } = platform;
  if (tlsCertificate === null || tlsKey === null) return {};
  const clientCa = clientCaFile === null ? {} : { clientCaFile };
  return { tls: { certFile: tlsCertificate, keyFile: tlsKey, ...clientCa } };
}
