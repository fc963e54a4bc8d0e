/**
 * Vite plugin: writes `kernels.json`, which says what TF.js can run where: the kernels that each backend registers, and
 * those that each operation of a graph model calls.
 *
 * The former are asked of the packages themselves, which register at their import. The latter are read from the packages'
 * code: which functions the converter's executors call for an operation, and which kernels those run.
 */

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

import type { Plugin } from 'vite';

import { BACKENDS } from '../src/backend-names.ts';

export interface Kernels {
  readonly version: string;
  /** Names of kernels by backend. */
  readonly backends: Readonly<Record<string, readonly string[]>>;
  /** Names of kernels by TensorFlow's name of an operation; none for what the executor does itself. */
  readonly operations: Readonly<Record<string, readonly string[]>>;
}

export function kernels(file: string): Plugin {
  return {
    name: 'tripoint:kernels',
    apply: 'build',
    async generateBundle() {
      const source = `${JSON.stringify(await kernelsOf(join(import.meta.dirname, '../node_modules/@tensorflow')))}\n`;
      this.emitFile({ type: 'asset', fileName: file, source });
    },
  };
}

export async function kernelsOf(packages: string): Promise<Kernels> {
  // Here, so that whoever only reads Vite's configuration does not load them.
  const { getKernelsForBackend, version_core } = await import('@tensorflow/tfjs-core');
  await Promise.all([
    import('@tensorflow/tfjs-backend-cpu'),
    import('@tensorflow/tfjs-backend-wasm'),
    import('@tensorflow/tfjs-backend-webgl'),
    import('@tensorflow/tfjs-backend-webgpu'),
  ]);
  return {
    version: version_core,
    backends: Object.fromEntries(
      BACKENDS.map((name) => [
        name,
        getKernelsForBackend(name)
          .map((kernel) => kernel.kernelName)
          .sort(),
      ]),
    ),
    operations: operationsOf(
      join(packages, 'tfjs-converter/dist/operations/executors'),
      join(packages, 'tfjs-core/dist/ops'),
    ),
  };
}

function operationsOf(executors: string, ops: string): Record<string, string[]> {
  const functions = new Functions(ops);
  const found: Record<string, string[]> = {};
  for (const name of readdirSync(executors).filter((entry) => entry.endsWith('_executor.js'))) {
    const code = codeOf(join(executors, name));
    // `case 'A': case 'B': { ... }`, each up to the next case or the default.
    for (const [, labels = '', body = ''] of code.matchAll(
      /((?:case '\w+':\s*)+)([\s\S]*?)(?=case '\w+':|default:)/g,
    )) {
      const called = [...body.matchAll(/\bops\.([\w.]+)\(/g)].map((call) => call[1] ?? '');
      const kernelNames = called.flatMap((path) => functions.kernelsOf(path));
      for (const [, label = ''] of labels.matchAll(/'(\w+)'/g)) {
        // An operation for complex numbers shares its case with one for real numbers.
        const own = label.startsWith('Complex') ? [label] : [];
        found[label] = [...new Set([...kernelNames, ...own])].sort();
      }
    }
  }
  return found;
}

/** The functions of tfjs-core that the executors call, `conv2d` or `fused.conv2d`, by the files that they are in. */
class Functions {
  private readonly files = new Map<string, string>();

  constructor(folder: string) {
    const index = codeOf(join(folder, 'ops.js'));
    for (const [, names = '', path = ''] of index.matchAll(
      /(?:import|export) \{ ([^}]+) \} from '\.\/([\w/]+)'/g,
    )) {
      const file = join(folder, `${path}.js`);
      const space = dirname(path) === '.' ? '' : `${dirname(path)}.`;
      for (const name of names.split(',')) {
        const exported = name.trim().split(' as ').at(-1) ?? '';
        this.files.set(`${space}${exported}`, file);
        if (!this.files.has(exported)) this.files.set(exported, file);
      }
    }
    // A namespace that its own file fills: `import * as fused from './fused_ops'`.
    for (const [, space = '', path = ''] of index.matchAll(/import \* as (\w+) from '\.\/([\w/]+)'/g)) {
      for (const [, name = '', below = ''] of codeOf(join(folder, `${path}.js`)).matchAll(
        /import \{ (\w+) \} from '\.\/([\w/]+)'/g,
      )) {
        this.files.set(`${space}.${name}`, join(folder, `${below}.js`));
      }
    }
  }

  kernelsOf(path: string): string[] {
    const file = this.files.get(path) ?? this.files.get(path.split('.').at(-1) ?? '');
    return file === undefined ? [] : kernelsIn(file, new Set());
  }
}

/** The kernels that a function runs itself, or else those of the functions that it is made of. */
function kernelsIn(file: string, seen: Set<string>): string[] {
  if (seen.has(file) || !existsSync(file)) return [];
  seen.add(file);
  const code = withoutComplex(codeOf(file));
  const own = [...code.matchAll(/ENGINE\.runKernel\((\w+)/g)].map((call) => call[1] ?? '');
  if (own.length > 0) return own;
  return [...code.matchAll(/import \{ (\w+) \} from '(\.[\w./]+)'/g)]
    .filter(([, name = '']) => new RegExp(`(?<!\\.)\\b${name}\\(`).test(code))
    .flatMap(([, , path = '']) => kernelsIn(join(dirname(file), `${path}.js`), seen));
}

/** Code without its branches for complex numbers, which no real number goes through: wasm has no kernels for them. */
function withoutComplex(code: string): string {
  const branch = /if \([^{]*=== 'complex64'\) \{/.exec(code);
  if (branch === null) return code;
  let end = branch.index + branch[0].length;
  for (let open = 1; open > 0 && end < code.length; end++) {
    open += code[end] === '{' ? 1 : code[end] === '}' ? -1 : 0;
  }
  return withoutComplex(code.slice(0, branch.index) + code.slice(end));
}

function codeOf(file: string): string {
  return readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
}
