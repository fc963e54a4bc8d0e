import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { TextVectorizer, type VectorizationLayer } from './text-vectorization';

interface Case {
  readonly what: string;
  readonly layer: VectorizationLayer;
  readonly examples: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

// Made by Keras; tests/integration/web_demo/test_text_vectorization.py writes it, and holds it against Keras.
const cases = JSON.parse(
  readFileSync(new URL('./text-vectorization.by-keras.json', import.meta.url), 'utf8'),
) as readonly Case[];

describe('TextVectorizer', () => {
  it.each(cases)('gives the ids that Keras gives: $what', ({ layer, examples }) => {
    const vectorizer = new TextVectorizer(layer);
    expect(examples.length).toBeGreaterThan(10);
    for (const { text, ids } of examples) expect([text, vectorizer.ids(text)]).toEqual([text, ids]);
  });

  it('refuses what only Keras can follow', () => {
    const [first] = cases;
    if (first === undefined) throw new Error('Keras gave no cases');
    const changed = (settings: object, kind = 'TextVectorization'): VectorizationLayer => ({
      ...first.layer,
      kind,
      settings: { ...first.layer.settings, ...settings },
    });
    expect(() => new TextVectorizer(changed({}, 'StringLookup'))).toThrow('is no TextVectorization');
    expect(() => new TextVectorizer(changed({ output_mode: 'multi_hot' }))).toThrow('gives no ids');
    expect(() => new TextVectorizer(changed({ standardize: { code: 'mine' } }))).toThrow(
      'standardize is {"code":"mine"}',
    );
    expect(() => new TextVectorizer(changed({ split: 'lines' }))).toThrow('split is "lines"');
    expect(() => new TextVectorizer(changed({ ngrams: 'two' }))).toThrow('ngrams is "two"');
  });
});
