import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Conversation, describe as described } from './protocol';

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

let server: Server;
let seen: Seen[];
let answer: { status: number; body: string };
let conversation: Conversation;

beforeEach(async () => {
  seen = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, type: request.headers['content-type'], body });
      response.writeHead(answer.status).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  conversation = new Conversation(new URL(`http://127.0.0.1:${port}/below/parity/token/`));
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

describe('a conversation', () => {
  it('takes an instruction, and none when the server had nothing to do', async () => {
    answer = { status: 200, body: '{"id":3,"kind":"unload"}' };
    expect(await conversation.next()).toEqual({ id: 3, kind: 'unload' });
    answer = { status: 204, body: '' };
    expect(await conversation.next()).toBeNull();
    expect(seen.map(({ url }) => url)).toEqual(['/below/parity/token/next', '/below/parity/token/next']);
  });

  it('says with which instruction it failed, or that all of it did', async () => {
    answer = { status: 204, body: '' };
    await conversation.fail(new TypeError('no such kernel'), 4);
    await conversation.fail('lost');
    expect(seen.map(({ url, body }) => [url, body])).toEqual([
      ['/below/parity/token/failures/4', '{"problem":"TypeError: no such kernel"}'],
      ['/below/parity/token/broken', '{"problem":"lost"}'],
    ]);
  });

  it('ends when the server refuses', async () => {
    answer = { status: 410, body: '' };
    await expect(conversation.answer(1, new Blob(['x']))).rejects.toThrow(
      'answers/1: the server answered 410',
    );
  });
});

describe('describe', () => {
  it('names errors, and shows whatever else is thrown', () => {
    expect([described(new RangeError('far')), described(7)]).toEqual(['RangeError: far', '7']);
  });
});
