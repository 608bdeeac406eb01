import { LIMITS } from '../limits.ts';
import { defineSection } from './section.ts';

/** What concerns the whole program: where its data is, which doors it opens and how it ends. */
export const platformSection = defineSection('platform', 'Platform', {
  data: { kind: 'path', default: '.millrace', description: 'Folder that holds all data' },
  edgeHost: {
    kind: 'host',
    default: '127.0.0.1',
    description: 'Address of the edge port, which serves apps',
  },
  edgePort: { kind: 'port', default: 7400, description: 'Port that serves apps' },
  apiHost: { kind: 'host', default: '127.0.0.1', description: 'Address of the API port' },
  apiPort: { kind: 'port', default: 7401, description: "Port of the platform's own API and dashboard" },
  kafkaHost: { kind: 'host', default: '127.0.0.1', description: 'Address of the Kafka port' },
  kafkaPort: { kind: 'port', default: 9092, description: 'Port that speaks the Kafka protocol' },
  kafkaAdvertised: {
    kind: 'string',
    default: null,
    description:
      'HOST:PORT that Kafka clients are told to connect to; unless told, the address they came in by',
  },
  inferenceHost: { kind: 'host', default: '127.0.0.1', description: 'Address of the inference port' },
  inferencePort: {
    kind: 'port',
    default: 'off',
    description: 'Port of the Open Inference Protocol over gRPC',
  },
  tlsCertificate: {
    kind: 'path',
    default: null,
    description: 'PEM file with the certificate chain; read again when it changes',
  },
  tlsKey: { kind: 'path', default: null, description: 'PEM file with the private key' },
  tlsEndsInFront: {
    kind: 'boolean',
    default: false,
    description: 'A proxy in front ends TLS, so that doors beyond loopback may speak plain text to it',
  },
  bodyLimit: {
    kind: 'bytes',
    default: LIMITS.bodyBytes,
    min: 1024,
    max: 1024 ** 3,
    description: 'Largest request body',
  },
  drain: {
    kind: 'duration',
    default: '10s',
    min: 0,
    max: 3_600_000,
    description: 'How long work in flight may take to finish when the platform stops',
  },
});
