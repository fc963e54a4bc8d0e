/** A TF.js whose shader key is not the one that we mend is refused: answers would be wrong again, and nobody told. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { mendedKey } from '../vite/shader-key.ts';

const FILE = resolve(
  import.meta.dirname,
  '../node_modules/@tensorflow/tfjs-backend-webgl/dist/gpgpu_math.js',
);

const CODE = readFileSync(FILE, 'utf8');

describe('the key of a shader', () => {
  it('is mended in the TF.js that is installed, and nothing else is', () => {
    const before = CODE.split('\n');
    const after = mendedKey(CODE).split('\n');
    const changed = after.filter((line, at) => line !== before[at]);
    expect(after.length).toBe(before.length);
    expect(changed.length).toBe(7);
    expect(changed.join()).toContain('util.arraysEqual(uniformShape, xTexShape)');
    expect(changed.join()).toContain('!(x === output ? program.packedOutput : program.packedInputs)');
  });

  it.each(['', CODE.replace('util.arraysEqual(x.shape, xTexShape)', 'other'), CODE + CODE])(
    'is not guessed in another TF.js',
    (code) => {
      expect(() => mendedKey(code)).toThrow('instead of');
    },
  );
});
