/** What `models/index.json` says: which models are beside this page, in which precisions, and how to show them. */

export interface PrecisionEntry {
  readonly precision: string;
  /** The address of `model.json`, relative to the page. */
  readonly url: string;
  /** SHA-256 of the artifact: it goes into every address, so that a cache never mixes two of them. */
  readonly digest: string;
  readonly sizeBytes: number;
  /** All files of the artifact, `model.json` and the weights. */
  readonly files: readonly string[];
}

export interface Sample {
  readonly label: string;
  /** Row-major, height × width, in 0..1. */
  readonly values: readonly number[];
}

export interface DemoModel {
  readonly name: string;
  readonly title: string;
  readonly kind: 'draw';
  readonly input: string;
  readonly output: string;
  readonly classes: readonly string[];
  readonly samples: readonly Sample[];
  readonly precisions: readonly PrecisionEntry[];
}

export interface Catalogue {
  readonly models: readonly DemoModel[];
}

export async function fetchCatalogue(): Promise<Catalogue> {
  const response = await fetch('models/index.json');
  if (!response.ok) throw new Error(`models/index.json: the server answered ${response.status}`);
  return (await response.json()) as Catalogue;
}

export function versioned(url: string, entry: PrecisionEntry): string {
  // TF.js passes the query on to the weights' addresses.
  return `${url}?digest=${entry.digest}`;
}
