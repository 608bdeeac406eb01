export const handler = { handler: async () => {} };
