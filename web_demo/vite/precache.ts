/** Vite plugin: writes the list of the build's files into the service worker. */

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Plugin } from 'vite';

const PLACEHOLDER = 'self.__WB_MANIFEST';

interface Entry {
  readonly url: string;
  /** None where the name itself changes with the content. */
  readonly revision: string | null;
}

/** `worker` is the service worker's file; `without` says which files of the build it need not keep. */
export function precache(worker: string, without: (file: string) => boolean): Plugin {
  let publicFolder = '';
  return {
    name: 'tripoint:precache',
    apply: 'build',
    enforce: 'post',
    configResolved(config) {
      publicFolder = config.publicDir;
    },
    generateBundle(_options, bundle) {
      const built = Object.values(bundle).map((file) =>
        entryOf(file.fileName, file.type === 'chunk' ? file.code : file.source),
      );
      const copied = readdirSync(publicFolder).map((name) =>
        entryOf(name, readFileSync(join(publicFolder, name))),
      );
      const entries = [...built, ...copied]
        .filter(({ url }) => url !== worker && !without(url))
        .sort((a, b) => (a.url < b.url ? -1 : 1));
      const chunk = bundle[worker];
      if (chunk?.type !== 'chunk' || chunk.code.split(PLACEHOLDER).length !== 2) {
        throw new Error(`${worker} must hold ${PLACEHOLDER} exactly once`);
      }
      chunk.code = chunk.code.replace(PLACEHOLDER, JSON.stringify(entries));
    },
  };
}

function entryOf(url: string, content: string | Uint8Array): Entry {
  const hashed = url.startsWith('assets/');
  return { url, revision: hashed ? null : createHash('sha256').update(content).digest('hex').slice(0, 16) };
}
