/** Named tensors in plain memory: what goes into a model and what comes out, outside of any backend. */

export type DType = 'float32' | 'int32' | 'bool';

export interface NumberTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Row-major; bool has one byte a value, 0 or 1. */
  readonly values: Float32Array | Int32Array | Uint8Array;
}

export interface TextTensor {
  readonly dtype: 'string';
  readonly shape: readonly number[];
  /** Row-major; each element in its own bytes, mostly UTF-8. */
  readonly values: readonly Uint8Array[];
}

export type HostTensor = NumberTensor | TextTensor;

/** Signature name to tensor. A Map, because a tensor may have any name, `__proto__` too. */
export type Tensors = ReadonlyMap<string, HostTensor>;

export const BYTES_PER_VALUE: Readonly<Record<DType, number>> = { float32: 4, int32: 4, bool: 1 };

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** How many samples the first dimension holds, the same in every tensor. */
export function sampleCount(tensors: Tensors): number {
  const counts = new Set([...tensors.values()].map((tensor) => tensor.shape[0]));
  const [count] = counts;
  if (counts.size !== 1 || count === undefined) {
    const shapes = [...tensors].map(([name, tensor]) => `${name} [${tensor.shape.join(', ')}]`);
    throw new Error(`the inputs do not hold the same number of samples: ${shapes.join('; ')}`);
  }
  return count;
}

/** Rows `start` to `end` (exclusive), as a view of the same memory where they are numbers. */
export function rows(tensor: HostTensor, start: number, end: number): HostTensor {
  const rest = tensor.shape.slice(1);
  const rowSize = sizeOf(rest);
  const shape = [end - start, ...rest];
  const [from, to] = [start * rowSize, end * rowSize];
  return tensor.dtype === 'string'
    ? { dtype: 'string', shape, values: tensor.values.slice(from, to) }
    : { dtype: tensor.dtype, shape, values: tensor.values.subarray(from, to) };
}

/** The parts one after the other along the first dimension; they must agree in type and in all other dimensions. */
export function concatenated(parts: readonly HostTensor[]): HostTensor {
  const [first] = parts;
  if (first === undefined) throw new Error('no batch was answered');
  const rest = first.shape.slice(1);
  for (const part of parts) {
    if (part.dtype !== first.dtype || part.shape.slice(1).join() !== rest.join()) {
      const describe = (tensor: HostTensor): string => `${tensor.dtype} [${tensor.shape.join(', ')}]`;
      throw new Error(`one batch answered ${describe(first)}, another ${describe(part)}`);
    }
  }
  const count = parts.reduce((sum, part) => sum + (part.shape[0] ?? 0), 0);
  const shape = [count, ...rest];
  if (first.dtype === 'string') {
    const texts = parts.flatMap((part) => (part.dtype === 'string' ? [part.values] : []));
    return { dtype: 'string', shape, values: texts.flat() };
  }
  const values = allocated(first.dtype, count * sizeOf(rest));
  let offset = 0;
  for (const part of parts) {
    if (part.dtype === 'string') continue;
    values.set(part.values, offset);
    offset += part.values.length;
  }
  return { dtype: first.dtype, shape, values };
}

function allocated(dtype: DType, length: number): Float32Array | Int32Array | Uint8Array {
  switch (dtype) {
    case 'float32':
      return new Float32Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'bool':
      return new Uint8Array(length);
  }
}
