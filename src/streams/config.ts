import { defineSection } from '../kernel/index.ts';

/** Where the log is: in the data folder, or in a Kafka cluster. */
export const streamsSection = defineSection('streams', 'Streams', {
  streams: {
    kind: 'string',
    default: 'embedded',
    choices: ['embedded', 'kafka'],
    description: 'Where records are kept: in the data folder, or in an Apache Kafka cluster',
  },
  streamsBrokers: {
    kind: 'list',
    default: [],
    description: 'HOST:PORT of some brokers of the cluster; the others are found through them',
  },
  streamsPrefix: {
    kind: 'string',
    default: null,
    description: 'Stands before the names of topics and groups in the cluster; others are not seen',
  },
  streamsReplicas: {
    kind: 'integer',
    default: null,
    min: 1,
    max: 32_767,
    description: "Replicas of new topics; unless told, the cluster's own default",
  },
  streamsSession: {
    kind: 'duration',
    default: '10s',
    min: 1000,
    max: 1_800_000,
    description: 'How long a node may fall silent before its partitions go to the others',
  },
  streamsTls: { kind: 'boolean', default: false, description: 'TLS to the brokers' },
  streamsCa: {
    kind: 'path',
    default: null,
    description: "PEM file with the authorities that sign the brokers' certificates",
  },
  streamsCertificate: {
    kind: 'path',
    default: null,
    description: "PEM file with this client's certificate, for brokers that ask for one",
  },
  streamsKey: {
    kind: 'path',
    default: null,
    description: "PEM file with the private key of the client's certificate",
  },
  streamsSasl: {
    kind: 'string',
    default: 'off',
    choices: ['off', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    description: 'How Millrace proves to the brokers who it is',
  },
  streamsUsername: { kind: 'string', default: null, description: 'User in the cluster' },
  streamsPassword: { kind: 'string', default: null, description: 'Password in the cluster' },
});
