/**
 * Keras's TextVectorization in `int` mode: text to the ids that a model behind that layer takes.
 *
 * The layer comes from `front.json`, which `tripoint adopt --after` leaves beside the artifacts (docs/adopting.md). What is
 * done to the text is what TensorFlow does, ASCII only: letters of other alphabets keep their case, a no-break space parts
 * no words, and quotation marks such as “ stay where they are.
 */

export interface VectorizationSettings {
  readonly standardize: unknown;
  readonly split: unknown;
  readonly ngrams: unknown;
  readonly output_mode: unknown;
  readonly output_sequence_length: unknown;
}

export interface VectorizationLayer {
  readonly kind: string;
  readonly settings: VectorizationSettings;
  readonly vocabulary: readonly string[];
}

const PUNCTUATION = /[!"#$%&()*+,\-./:;<=>?@[\\\]^_`{|}~']/g;
const WHITE_SPACE = /[\t-\r ]+/;
const PADDING = 0;
const UNKNOWN = 1;

type Standardize = 'lower_and_strip_punctuation' | 'lower' | 'strip_punctuation' | null;
type Split = 'whitespace' | 'character' | null;

export class TextVectorizer {
  readonly #known: ReadonlyMap<string, number>;
  readonly #standardize: Standardize;
  readonly #split: Split;
  readonly #ngrams: readonly number[] | undefined;
  readonly #length: number | undefined;

  /** Throws for a layer of another kind, and for settings that only Keras can follow. */
  constructor(layer: VectorizationLayer) {
    if (layer.kind !== 'TextVectorization') throw new Error(`a ${layer.kind} layer is no TextVectorization`);
    const { standardize, split, ngrams, output_mode, output_sequence_length } = layer.settings;
    if (output_mode !== 'int') throw new Error(`output_mode ${String(output_mode)} gives no ids`);
    this.#standardize = oneOf(
      'standardize',
      ['lower_and_strip_punctuation', 'lower', 'strip_punctuation', null] as const,
      standardize,
    );
    this.#split = oneOf('split', ['whitespace', 'character', null] as const, split);
    this.#ngrams = widths(ngrams);
    this.#length = typeof output_sequence_length === 'number' ? output_sequence_length : undefined;
    this.#known = new Map(layer.vocabulary.map((word, id) => [word, id]));
  }

  /** One id a word, 1 for a word that is unknown; cut or padded with 0 to `output_sequence_length` where that is set. */
  ids(text: string): number[] {
    const tokens = withNgrams(this.#tokens(this.#standardized(text)), this.#ngrams);
    const ids = tokens.map((token) => this.#known.get(token) ?? UNKNOWN);
    if (this.#length === undefined) return ids;
    return Array.from({ length: this.#length }, (_, at) => ids[at] ?? PADDING);
  }

  #standardized(text: string): string {
    const lower = this.#standardize === 'lower' || this.#standardize === 'lower_and_strip_punctuation';
    const strip =
      this.#standardize === 'strip_punctuation' || this.#standardize === 'lower_and_strip_punctuation';
    const cased = lower ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text;
    return strip ? cased.replace(PUNCTUATION, '') : cased;
  }

  #tokens(text: string): string[] {
    switch (this.#split) {
      case 'whitespace':
        return text.split(WHITE_SPACE).filter((word) => word !== '');
      case 'character':
        return Array.from(text);
      case null:
        return [text];
    }
  }
}

function oneOf<T extends string | null>(name: string, known: readonly T[], value: unknown): T {
  const found = known.find((one) => one === value);
  if (found === undefined)
    throw new Error(`${name} is ${JSON.stringify(value)}, which only Keras can follow`);
  return found;
}

/** How many words an n-gram has: 1 to n for a number, exactly those of a list. */
function widths(ngrams: unknown): readonly number[] | undefined {
  if (ngrams === null || ngrams === undefined) return undefined;
  if (typeof ngrams === 'number') return Array.from({ length: ngrams }, (_, at) => at + 1);
  if (Array.isArray(ngrams) && ngrams.every((width): width is number => typeof width === 'number'))
    return ngrams;
  throw new Error(`ngrams is ${JSON.stringify(ngrams)}, neither a number nor numbers`);
}

function withNgrams(tokens: string[], of: readonly number[] | undefined): string[] {
  if (of === undefined) return tokens;
  return of.flatMap((width) =>
    Array.from({ length: Math.max(0, tokens.length - width + 1) }, (_, at) =>
      tokens.slice(at, at + width).join(' '),
    ),
  );
}
