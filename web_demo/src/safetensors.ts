/**
 * The safetensors format, as far as TF.js has its types: how tensors travel between this page and Python.
 *
 * Eight bytes of header length (little-endian), a JSON header padded with spaces, then the tensors' bytes.
 */

import { BYTES_PER_VALUE, type Tensors, sizeOf } from './tensors';
import { type Storable, asNumbers, asText } from './text';

type StoredDType = Storable['dtype'];

const FORMAT_NAME: Readonly<Record<StoredDType, string>> = {
  float32: 'F32',
  int32: 'I32',
  bool: 'BOOL',
  uint8: 'U8',
};
const BYTES: Readonly<Record<StoredDType, number>> = { ...BYTES_PER_VALUE, uint8: 1 };
const LENGTH_BYTES = 8;

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

export function decode(file: ArrayBuffer): Tensors {
  if (file.byteLength < LENGTH_BYTES) throw new Error(`not safetensors: only ${file.byteLength} bytes`);
  const headerLength = Number(new DataView(file).getBigUint64(0, true));
  const dataStart = LENGTH_BYTES + headerLength;
  if (dataStart > file.byteLength) {
    throw new Error(`not safetensors: a header of ${headerLength} bytes in a file of ${file.byteLength}`);
  }
  const text = new TextDecoder('utf-8', { fatal: true }).decode(
    new Uint8Array(file, LENGTH_BYTES, headerLength),
  );
  const header = new Map(Object.entries(JSON.parse(text) as Record<string, Entry>));
  header.delete('__metadata__');
  return asText(new Map([...header].map(([name, entry]) => [name, tensorAt(file, dataStart, name, entry)])));
}

function tensorAt(file: ArrayBuffer, dataStart: number, name: string, entry: Entry): Storable {
  const dtype = (Object.keys(FORMAT_NAME) as StoredDType[]).find((key) => FORMAT_NAME[key] === entry.dtype);
  if (dtype === undefined) {
    throw new Error(`tensor ${name} has type ${entry.dtype}, which TF.js does not have`);
  }
  const [start, end] = entry.data_offsets;
  const bytes = sizeOf(entry.shape) * BYTES[dtype];
  if (end - start !== bytes || start < 0 || dataStart + end > file.byteLength) {
    throw new Error(
      `tensor ${name}: ${entry.dtype} [${entry.shape.join(', ')}] needs ${bytes} bytes, the file has ` +
        `${start} to ${end} of ${file.byteLength - dataStart}`,
    );
  }
  // A copy, because the format does not promise the alignment that a typed array needs.
  const data = file.slice(dataStart + start, dataStart + end);
  return dtype === 'uint8'
    ? { dtype, shape: entry.shape, values: new Uint8Array(data) }
    : { dtype, shape: entry.shape, values: typedArray(dtype, data) };
}

function typedArray(
  dtype: Exclude<StoredDType, 'uint8'>,
  data: ArrayBuffer,
): Float32Array | Int32Array | Uint8Array {
  switch (dtype) {
    case 'float32':
      return new Float32Array(data);
    case 'int32':
      return new Int32Array(data);
    case 'bool':
      return new Uint8Array(data);
  }
}

/** A Blob and not a typed array: a browser under Playwright posts it more than ten times as fast. */
export function encode(tensors: Tensors): Blob {
  // The widest values first, so that each tensor starts at a multiple of its value's size.
  const ordered = [...asNumbers(tensors)].sort(([, a], [, b]) => BYTES[b.dtype] - BYTES[a.dtype]);
  let offset = 0;
  const entries = ordered.map(([name, tensor]): [string, Entry] => {
    const start = offset;
    offset += tensor.values.byteLength;
    return [name, { dtype: FORMAT_NAME[tensor.dtype], shape: tensor.shape, data_offsets: [start, offset] }];
  });
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const padding = (LENGTH_BYTES - (json.byteLength % LENGTH_BYTES)) % LENGTH_BYTES;
  const length = new DataView(new ArrayBuffer(LENGTH_BYTES));
  length.setBigUint64(0, BigInt(json.byteLength + padding), true);
  return new Blob([
    length,
    json,
    ' '.repeat(padding),
    ...ordered.map(([, tensor]) => tensor.values as Uint8Array<ArrayBuffer>),
  ]);
}
