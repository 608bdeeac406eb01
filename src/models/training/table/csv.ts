/** One line of a CSV file (RFC 4180) as fields; undefined when a quoted field goes on in the next line. */
export function fieldsOf(line: string): string[] | undefined {
  if (!line.includes('"')) return line.split(',');
  const fields: string[] = [];
  let place = 0;
  for (;;) {
    if (line[place] !== '"') {
      const end = line.indexOf(',', place);
      fields.push(line.slice(place, end < 0 ? undefined : end));
      if (end < 0) return fields;
      place = end + 1;
      continue;
    }
    let end = line.indexOf('"', place + 1);
    while (end >= 0 && line[end + 1] === '"') end = line.indexOf('"', end + 2);
    if (end < 0) return undefined;
    fields.push(line.slice(place + 1, end).replaceAll('""', '"'));
    if (end + 1 >= line.length) return fields;
    place = end + 2;
  }
}
