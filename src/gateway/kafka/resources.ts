/** Codes of what is configured (ConfigResource.Type of Apache Kafka). */
export const RESOURCES = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const;
