/** Magic byte 0, then the id of the schema as an int32: what Confluent's serialisers put before a value ("Wire format"). */
const FRAME_BYTES = 5;

/** Where the payload of a value begins: behind the frame of a schema registry's serialiser, or at 0. No JSON text begins with a zero byte. */
export const payloadStart = (value: Uint8Array): number =>
  value.length > FRAME_BYTES && value[0] === 0 ? FRAME_BYTES : 0;
