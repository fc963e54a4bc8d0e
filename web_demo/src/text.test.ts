import { describe, expect, it } from 'vitest';

import { decode, encode } from './safetensors';
import type { HostTensor } from './tensors';
import { asText } from './text';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('text', () => {
  it('goes through safetensors as it is, empty elements and bytes that are no UTF-8 included', async () => {
    const words: HostTensor = {
      dtype: 'string',
      shape: [2, 2],
      values: [bytes(97, 98), bytes(), bytes(255, 0), bytes(99)],
    };
    const numbers: HostTensor = { dtype: 'float32', shape: [1], values: Float32Array.of(7) };
    const sent = new Map<string, HostTensor>([
      ['words', words],
      ['numbers', numbers],
    ]);
    const got = decode(await encode(sent).arrayBuffer());
    expect(got.get('numbers')).toEqual(numbers);
    expect(got.get('words')).toEqual(words);
  });

  it('is refused when its bytes are cut off, and bytes of no text are, too', () => {
    const ends = { dtype: 'int32', shape: [1], values: Int32Array.of(3) } as const;
    const cut = { dtype: 'uint8', shape: [2], values: bytes(1, 2) } as const;
    expect(() =>
      asText(
        new Map<string, typeof ends | typeof cut>([
          ['text-ends:t', ends],
          ['text-bytes:t', cut],
        ]),
      ),
    ).toThrow('the bytes of the text t do not fit');
    expect(() => asText(new Map([['pixels', cut]]))).toThrow('type U8');
  });
});
