/**
 * Vite plugin: mends the key under which TF.js's WebGL backend keeps compiled shaders, where shapes are uniforms.
 *
 * The key leaves out two things that shaders are written for (tensorflow/tfjs issue 6478), so that one answers for another:
 *
 * - A matrix is read directly where its shape is its texture's, and by index elsewhere. The shader is written for the
 *   shape without its leading 1, and the key compares the shape with it: [1, 49, 192] in a texture of [49, 192] and
 *   [1, 7, 2048] in one of [120, 120] had one key.
 * - A result is keyed as if it were packed where the inputs are. What unpacks has packed inputs alone: results of [8960, 1]
 *   and [14336, 9], the averages over maps of one pixel and of nine, had one key, and the second has columns.
 */

import type { Plugin } from 'vite';

const FILE = /tfjs-backend-webgl\/dist\/gpgpu_math\.js$/;
const FUNCTION = /export function makeShaderKey\([\s\S]*?\n}/g;
/** What is written instead of what, and how often it is there. */
const MENDS = [
  ['util.arraysEqual(x.shape, xTexShape)', 'util.arraysEqual(uniformShape, xTexShape)', 1],
  ['program.packedInputs', '(x === output ? program.packedOutput : program.packedInputs)', 6],
] as const;

export function shaderKey(): Plugin {
  let mended = false;
  return {
    name: 'tripoint:shader-key',
    apply: 'build',
    transform: {
      filter: { id: FILE },
      handler(code) {
        mended = true;
        return { code: mendedKey(code), map: null };
      },
    },
    buildEnd(error) {
      if (error === undefined && !mended) throw new Error(`no file of the build is called like ${FILE}`);
    },
  };
}

/** The code of TF.js's gpgpu_math.js with a key that tells these shaders apart. Throws where it is not as in 4.22.0. */
export function mendedKey(code: string): string {
  const found = code.match(FUNCTION) ?? [];
  if (found.length !== 1) throw new Error(unlike('makeShaderKey', found.length, 1));
  return code.replace(FUNCTION, (written) =>
    MENDS.reduce((mended, [wrong, right, times]) => {
      const parts = mended.split(wrong);
      if (parts.length !== times + 1) throw new Error(unlike(wrong, parts.length - 1, times));
      return parts.join(right);
    }, written),
  );
}

function unlike(what: string, found: number, expected: number): string {
  return (
    `TF.js's gpgpu_math.js holds \`${what}\` ${found} times instead of ${expected}: see whether its WebGL backend ` +
    'still mistakes one shader for another (tensorflow/tfjs issue 6478), and adapt or drop web_demo/vite/shader-key.ts'
  );
}
