// The smallest app: one function behind one route.
//   npx millrace dev examples/01-hello/app.ts
//   curl 'http://127.0.0.1:7400/hello?name=world'
import { fn, http } from 'millrace';

export const hello = fn('hello', { on: http.get('/hello') }, (request) => {
  const name = request.query.name ?? 'stranger';
  return { body: { hello: name } };
});
