import { describe, expect, it } from 'vitest';

import { decode, encode } from './safetensors';
import type { HostTensor, Tensors } from './tensors';

/** As Python's `safetensors.numpy.save({"b": bool [2], "a": float32 [1, 2]})` writes it. */
function written(header: string, ...data: BlobPart[]): Promise<ArrayBuffer> {
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(header.length), true);
  return new Blob([length, header, ...data]).arrayBuffer();
}

async function returned(tensors: Tensors): Promise<Tensors> {
  return decode(await encode(tensors).arrayBuffer());
}

function bits(tensor: HostTensor | undefined): number[] {
  return [...new Uint32Array((tensor?.values as Float32Array<ArrayBuffer>).slice().buffer)];
}

describe('encode and decode', () => {
  it('bring back every type, shape and name', async () => {
    const tensors = new Map<string, HostTensor>([
      ['flags', { dtype: 'bool', shape: [3], values: Uint8Array.of(1, 0, 1) }],
      ['scores', { dtype: 'float32', shape: [2, 2], values: Float32Array.of(1, 2, 3, 4.5) }],
      ['counts: ä', { dtype: 'int32', shape: [1, 1], values: Int32Array.of(-7) }],
      ['nothing', { dtype: 'float32', shape: [0, 4], values: new Float32Array(0) }],
    ]);
    const back = await returned(tensors);
    expect(new Map([...back].sort())).toEqual(new Map([...tensors].sort()));
  });

  it('keep the bits of NaN, infinities, negative zero and the smallest numbers', async () => {
    const values = Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 1e-45);
    const back = await returned(new Map([['x', { dtype: 'float32', shape: [5], values }]]));
    expect(bits(back.get('x'))).toEqual([0x7fc00000, 0x7f800000, 0xff800000, 0x80000000, 1]);
  });

  it('send a view as its own part of the memory', async () => {
    const values = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    const back = await returned(new Map([['x', { dtype: 'float32', shape: [2], values }]]));
    expect(back.get('x')?.values).toEqual(Float32Array.of(2, 3));
  });

  it('start every tensor at a multiple of its value size, header included', async () => {
    const tensors = new Map<string, HostTensor>([
      ['flag', { dtype: 'bool', shape: [1], values: Uint8Array.of(1) }],
      ['score', { dtype: 'float32', shape: [1], values: Float32Array.of(1) }],
    ]);
    const file = await encode(tensors).arrayBuffer();
    const headerLength = Number(new DataView(file).getBigUint64(0, true));
    expect(headerLength % 8).toBe(0);
    const header = new TextDecoder().decode(new Uint8Array(file, 8, headerLength));
    expect(JSON.parse(header)).toMatchObject({
      score: { data_offsets: [0, 4] },
      flag: { data_offsets: [4, 5] },
    });
  });
});

describe('decode', () => {
  it('reads what Python writes, with data that is not aligned', async () => {
    const header =
      '{"__metadata__":{"format":"np"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[1,9]},' +
      '"b":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}   ';
    const tensors = decode(await written(header, Uint8Array.of(1), Float32Array.of(1.5, -2)));
    expect(tensors.get('a')).toEqual({ dtype: 'float32', shape: [1, 2], values: Float32Array.of(1.5, -2) });
    expect(tensors.get('b')).toEqual({ dtype: 'bool', shape: [1], values: Uint8Array.of(1) });
  });

  it.each([
    ['a type that TF.js lacks', '{"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', 'x has type I64'],
    [
      'a shape that does not fit its bytes',
      '{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}',
      'needs 12 bytes',
    ],
    ['data beyond the end', '{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', '0 to 16 of 8'],
  ])('refuses %s', async (_case, header, said) => {
    const file = await written(header, new Uint8Array(8));
    expect(() => decode(file)).toThrow(said);
  });

  it.each([
    ['an empty file', new ArrayBuffer(0)],
    ['a header longer than the file', new BigUint64Array([1000n]).buffer],
  ])('refuses %s', (_case, file) => {
    expect(() => decode(file)).toThrow('not safetensors');
  });
});
