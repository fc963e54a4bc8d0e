/** The demo page: draw a digit, see what the model makes of it, on the backend and in the precision of your choice. */

import './theme.css';
import './page.css';
import './small-screens.css';

import { BACKENDS, type BackendName } from '../backends';
import { type ModelRunner, loadModel } from '../model-runner';
import { type DemoModel, type PrecisionEntry, fetchCatalogue, versioned } from './catalogue';
import { Choice } from './choice';
import { BLOCKS, digitised } from './digitise';
import { byId, make } from './elements';
import { keptForOffline } from './offline';
import { Pad, paintBlocks } from './pad';
import { Scores } from './scores';

const BACKEND_LABELS: Readonly<Record<BackendName, { label: string; note: string }>> = {
  wasm: { label: 'WebAssembly', note: 'SIMD' },
  webgl: { label: 'WebGL', note: 'GPU' },
  cpu: { label: 'JavaScript', note: 'plain' },
  webgpu: { label: 'WebGPU', note: 'GPU' },
};
const RECENT_TIMES = 15;

class Demo {
  readonly #model: DemoModel;
  readonly #pad: Pad;
  readonly #scores: Scores;
  readonly #backends: Choice;
  readonly #precisions: Choice;
  #runner: ModelRunner | null = null;
  #image: Float32Array | null = null;
  #frameAsked = false;
  #times: number[] = [];
  /** Loading is one after the other, however fast the choices are made. */
  #loading: Promise<void> = Promise.resolve();
  #running: { backend: string; precision: string };

  constructor(model: DemoModel) {
    const [first] = model.precisions;
    if (first === undefined) throw new Error(`${model.name} has no TF.js artifact`);
    this.#model = model;
    byId('title', HTMLElement).textContent = model.title;
    this.#pad = new Pad(byId('pad', HTMLCanvasElement), () => {
      this.#see(digitised(this.#pad.strokes));
    });
    this.#scores = new Scores(
      byId('scores', HTMLElement),
      byId('winner', HTMLElement),
      byId('sentence', HTMLElement),
      model.classes,
    );
    const reload = (): void => {
      this.#loading = this.#loading.then(() => this.#load(this.#backends.value, this.#precisions.value));
    };
    const backends = BACKENDS.filter((name) => name !== 'webgpu' || 'gpu' in navigator);
    this.#backends = new Choice(
      byId('backends', HTMLElement),
      'backend',
      backends.map((value) => ({ value, ...BACKEND_LABELS[value] })),
      reload,
    );
    this.#precisions = new Choice(
      byId('precisions', HTMLElement),
      'precision',
      model.precisions.map(({ precision, sizeBytes }) => ({
        value: precision,
        label: precision,
        note: kilobytes(sizeBytes),
      })),
      reload,
    );
    this.#running = { backend: BACKENDS[0], precision: first.precision };
    this.#chooseRunning();
    this.#offerSamples();
    this.#listenForClear();
    this.#see(null);
    reload();
  }

  #chooseRunning(): void {
    this.#backends.value = this.#running.backend;
    this.#precisions.value = this.#running.precision;
  }

  #offerSamples(): void {
    const buttons = this.#model.samples.map(({ label, values }) => {
      const picture = make('canvas');
      picture.width = BLOCKS;
      picture.height = BLOCKS;
      const button = make('button', {}, picture);
      button.type = 'button';
      button.setAttribute('aria-label', `Example of a ${label}`);
      button.addEventListener('click', () => {
        this.#pad.show(values);
        this.#see(Float32Array.from(values));
      });
      return { button, picture, values };
    });
    byId('samples', HTMLElement).replaceChildren(...buttons.map(({ button }) => button));
    const paint = (): void => {
      for (const { picture, values } of buttons) paintOn(picture, values);
      paintOn(byId('seen', HTMLCanvasElement), this.#image ?? []);
      this.#pad.paint();
    };
    paint();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
  }

  #listenForClear(): void {
    const clear = (): void => {
      this.#pad.clear();
      this.#see(null);
    };
    byId('clear', HTMLButtonElement).addEventListener('click', clear);
    addEventListener('keydown', (event) => {
      if (event.key === 'Escape') clear();
    });
  }

  #see(image: Float32Array | null): void {
    this.#image = image;
    paintOn(byId('seen', HTMLCanvasElement), image ?? []);
    if (image === null) {
      this.#scores.clear();
    } else if (!this.#frameAsked) {
      // At most one answer a frame, whatever rate the pointer reports at.
      this.#frameAsked = true;
      requestAnimationFrame(() => {
        this.#frameAsked = false;
        this.#answer().catch(showProblem);
      });
    }
  }

  async #answer(): Promise<void> {
    await this.#loading;
    const [runner, image] = [this.#runner, this.#image];
    if (runner === null || image === null) return;
    const input = { dtype: 'float32', shape: [1, BLOCKS, BLOCKS, 1], values: image } as const;
    const { outputs, callSeconds } = await runner.run(new Map([[this.#model.input, input]]), 1);
    const scores = outputs.get(this.#model.output);
    if (scores === undefined || scores.dtype === 'string') {
      throw new Error(`the model has no output ${this.#model.output} of numbers`);
    }
    if (image === this.#image) this.#scores.show(scores.values);
    this.#times = [...this.#times, ...callSeconds].slice(-RECENT_TIMES);
    byId('milliseconds', HTMLElement).textContent = milliseconds(median(this.#times));
  }

  async #load(backend: string, precision: string): Promise<void> {
    const entry = this.#model.precisions.find((candidate) => candidate.precision === precision);
    if (entry === undefined) return;
    byId('runtime', HTMLElement).textContent = 'Loading …';
    try {
      await this.#replaceRunner(backend, entry);
      this.#running = { backend, precision };
      hideProblem();
    } catch (error) {
      showProblem(error);
      const was = this.#model.precisions.find((candidate) => candidate.precision === this.#running.precision);
      this.#chooseRunning();
      if (was !== undefined && backend !== this.#running.backend)
        await this.#replaceRunner(this.#running.backend, was);
    }
    this.#see(this.#image);
  }

  async #replaceRunner(backend: string, entry: PrecisionEntry): Promise<void> {
    this.#runner?.dispose();
    this.#runner = null;
    this.#times = [];
    byId('milliseconds', HTMLElement).textContent = '–';
    const runner = await loadModel(versioned(entry.url, entry), backend);
    // The first run compiles kernels and uploads weights; nobody should see that as the model's time.
    const blank = {
      dtype: 'float32',
      shape: [1, BLOCKS, BLOCKS, 1],
      values: new Float32Array(BLOCKS ** 2),
    } as const;
    await runner.run(new Map([[this.#model.input, blank]]), 1);
    this.#runner = runner;
    const { version, details } = runner.facts;
    const how = details['renderer'] ?? (details['wasm'] === undefined ? '' : `with ${details['wasm']}`);
    byId('runtime', HTMLElement).textContent = `TF.js ${version}, ${backend} ${how}`.trim();
  }
}

function paintOn(canvas: HTMLCanvasElement, values: ArrayLike<number>): void {
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.clearRect(0, 0, canvas.width, canvas.height);
  paintBlocks(context, values, getComputedStyle(canvas).color);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toPrecision(2)} ms`;
}

function kilobytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function showProblem(error: unknown): void {
  const problem = byId('problem', HTMLElement);
  problem.textContent = error instanceof Error ? error.message : String(error);
  problem.hidden = false;
}

function hideProblem(): void {
  byId('problem', HTMLElement).hidden = true;
}

function offerModels(models: readonly DemoModel[]): DemoModel | undefined {
  const asked = new URLSearchParams(location.search).get('model');
  const shown = models.find((model) => model.name === asked) ?? models[0];
  const select = byId('model', HTMLSelectElement);
  for (const { name, title } of models)
    select.add(new Option(title, name, name === shown?.name, name === shown?.name));
  select.addEventListener('change', () => {
    location.search = new URLSearchParams({ model: select.value }).toString();
  });
  byId('model-choice', HTMLElement).hidden = models.length < 2;
  return shown;
}

async function start(): Promise<void> {
  const { models } = await fetchCatalogue();
  const shown = offerModels(models);
  if (shown === undefined)
    throw new Error('There is no model beside this page: make one with `tripoint run`.');
  new Demo(shown);
  const offline = byId('offline', HTMLElement);
  try {
    offline.textContent = (await keptForOffline(models)) ? 'Ready' : 'Not kept for offline use';
  } catch (error) {
    offline.textContent = `Not kept: ${error instanceof Error ? error.message : String(error)}`;
  }
}

start().catch(showProblem);
