/**
 * Text as numbers, which is all that safetensors holds: two tensors for one of text.
 *
 * `text-ends:<name>`, of the text's own shape, says where in `text-bytes:<name>` each element ends; each begins where
 * the one before it ended. Python's side is pipeline/core/text_tensors.py.
 */

import type { HostTensor, NumberTensor, Tensors } from './tensors';

const ENDS = 'text-ends:';
const BYTES = 'text-bytes:';

export interface ByteTensor {
  readonly dtype: 'uint8';
  readonly shape: readonly number[];
  readonly values: Uint8Array;
}

export type Storable = NumberTensor | ByteTensor;

export function asNumbers(tensors: Tensors): Map<string, Storable> {
  const numbers = new Map<string, Storable>();
  for (const [name, tensor] of tensors) {
    if (tensor.dtype !== 'string') {
      numbers.set(name, tensor);
      continue;
    }
    const ends = new Int32Array(tensor.values.length);
    let length = 0;
    for (const [at, element] of tensor.values.entries()) ends[at] = length += element.length;
    const bytes = new Uint8Array(length);
    for (const [at, element] of tensor.values.entries()) bytes.set(element, (ends[at] ?? 0) - element.length);
    numbers.set(ENDS + name, { dtype: 'int32', shape: tensor.shape, values: ends });
    numbers.set(BYTES + name, { dtype: 'uint8', shape: [length], values: bytes });
  }
  return numbers;
}

export function asText(stored: ReadonlyMap<string, Storable>): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  for (const [name, tensor] of stored) {
    if (name.startsWith(ENDS)) {
      const own = name.slice(ENDS.length);
      tensors.set(own, together(own, tensor, stored.get(BYTES + own)));
    } else if (tensor.dtype !== 'uint8') {
      tensors.set(name, tensor);
    } else if (!name.startsWith(BYTES)) {
      throw new Error(`tensor ${name} has type U8, which TF.js does not have`);
    }
  }
  return tensors;
}

function together(name: string, ends: Storable, bytes: Storable | undefined): HostTensor {
  const last = ends.values.at(-1) ?? 0;
  if (bytes?.dtype !== 'uint8' || last !== bytes.values.length) {
    throw new Error(`the bytes of the text ${name} do not fit its ends`);
  }
  const held = bytes.values;
  const values = Array.from(ends.values, (end, at) => held.slice(ends.values[at - 1] ?? 0, end));
  return { dtype: 'string', shape: ends.shape, values };
}
