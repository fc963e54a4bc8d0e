/** One TF.js graph model on one backend: what the demo shows and the parity page measures is this same code. */

import { GraphModel, loadGraphModel } from '@tensorflow/tfjs-converter';
import { type Tensor, type TensorLike, getBackend, memory, tensor } from '@tensorflow/tfjs-core';

import {
  BACKENDS,
  type BackendDetails,
  TFJS_VERSION,
  activate,
  backendDetails,
  contextIsLost,
  isBackendName,
  webglErrors,
} from './backends';
import { type HostTensor, type Tensors, concatenated, rows, sampleCount } from './tensors';

export interface RuntimeFacts {
  readonly version: string;
  readonly details: BackendDetails;
}

export interface TimedAnswers {
  readonly outputs: Tensors;
  /** Wall time of each batch, from plain memory to plain memory. */
  readonly callSeconds: readonly number[];
}

export const CONTEXT_LOST = 'the browser lost its WebGL context';
const AT_WORK_EVERY_MS = 1000;

interface SignatureEntry {
  readonly name: string;
  /** Set on inputs that the model feeds itself, such as a lookup table. */
  readonly resourceId?: number;
}

interface ModelSignature {
  readonly inputs: Readonly<Record<string, SignatureEntry>>;
  readonly outputs: Readonly<Record<string, SignatureEntry>>;
}

/** Loads `model.json` and its weights; throws when the backend asked for is not the one that runs. */
export async function loadModel(url: string, backend: string): Promise<ModelRunner> {
  if (!isBackendName(backend)) {
    throw new Error(`there is no backend ${backend}; this page has ${BACKENDS.join(', ')}`);
  }
  await activate(backend);
  const model = await loadGraphModel(url);
  // TF.js finds out what the browser can do by trying; those errors are none of the model's.
  webglErrors();
  return new ModelRunner(model, backend, { version: TFJS_VERSION, details: await backendDetails(backend) });
}

export class ModelRunner {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #model: GraphModel;
  readonly #backend: string;
  #hasControlFlow = false;
  #hasRun = false;
  /** Lookup tables are filled by the first run, and stay. */
  #tablesToFill: boolean;

  constructor(
    model: GraphModel,
    backend: string,
    readonly facts: RuntimeFacts,
  ) {
    const signature = model.modelSignature as ModelSignature | undefined;
    if (signature === undefined || Object.keys(signature.outputs).length === 0) {
      throw new Error('model.json has no signature, so its tensors cannot be told apart by name');
    }
    this.inputNames = Object.entries(signature.inputs)
      .filter(([, entry]) => entry.resourceId === undefined)
      .map(([name]) => name);
    this.#tablesToFill = Object.values(signature.inputs).some((entry) => entry.resourceId !== undefined);
    this.outputNames = Object.keys(signature.outputs);
    this.#model = model;
    this.#backend = backend;
  }

  /**
   * Answers all samples in batches of `batchSize`, the last one shorter; leaves no tensor behind.
   *
   * `atWork` is called between batches, about once a second.
   */
  async run(
    samples: Tensors,
    batchSize: number,
    atWork: () => Promise<void> = () => Promise.resolve(),
  ): Promise<TimedAnswers> {
    this.#checkInputs(samples);
    let before = memory().numTensors;
    const count = sampleCount(samples);
    const batches: Tensors[] = [];
    const callSeconds: number[] = [];
    let saidAt = performance.now();
    for (let start = 0; start < count; start += batchSize) {
      const end = Math.min(start + batchSize, count);
      const batch = new Map([...samples].map(([name, sample]) => [name, rows(sample, start, end)]));
      const began = performance.now();
      batches.push(await this.#answer(batch, end - start));
      if (!this.#hasRun) {
        // The first call fills the model's lookup tables, which stay.
        this.#hasRun = true;
        before = memory().numTensors;
      }
      const ended = performance.now();
      callSeconds.push((ended - began) / 1000);
      if (ended - saidAt > AT_WORK_EVERY_MS) {
        saidAt = ended;
        await atWork();
      }
    }
    if (await contextIsLost({ suspected: false })) throw new Error(CONTEXT_LOST);
    const errors = webglErrors();
    if (errors.length > 0) {
      throw new Error(
        `WebGL reported ${errors.join(', ')} during the run, and TF.js went on: its answers mean nothing`,
      );
    }
    const leaked = memory().numTensors - before;
    if (leaked !== 0 && !this.#tablesToFill)
      throw new Error(`TF.js holds ${leaked} more tensors after the run than before it`);
    this.#tablesToFill = false;
    const outputs = this.outputNames.map((name): [string, HostTensor] => [
      name,
      concatenated(batches.map((batch) => present(batch, name))),
    ]);
    return { outputs: new Map(outputs), callSeconds };
  }

  dispose(): void {
    this.#model.dispose();
  }

  #checkInputs(samples: Tensors): void {
    const given = [...samples.keys()];
    const missing = this.inputNames.filter((name) => !samples.has(name));
    const unknown = given.filter((name) => !this.inputNames.includes(name));
    if (missing.length > 0 || unknown.length > 0) {
      throw new Error(
        `the model takes ${this.inputNames.join(', ')}, and was given ${given.join(', ') || 'nothing'}`,
      );
    }
    if (getBackend() !== this.#backend) {
      throw new Error(`the model was loaded on ${this.#backend}, but TF.js now runs on ${getBackend()}`);
    }
  }

  async #answer(batch: Tensors, count: number): Promise<Tensors> {
    const inputs = Object.fromEntries(
      [...batch].map(([name, { values, shape, dtype }]) => [
        name,
        // TF.js takes text as bytes, too, but its types say so only of what it gives.
        tensor(values as TensorLike, [...shape], dtype),
      ]),
    );
    try {
      const outputs = await this.#execute(inputs);
      try {
        const answers = new Map<string, HostTensor>();
        for (const [position, name] of this.outputNames.entries()) {
          answers.set(name, await onHost(name, outputs[position], count));
        }
        return answers;
      } finally {
        for (const output of outputs) output.dispose();
      }
    } finally {
      for (const input of Object.values(inputs)) input.dispose();
    }
  }

  /** Outputs in the order of `outputNames`: TF.js maps signature names to graph tensors on both sides itself. */
  async #execute(inputs: Record<string, Tensor>): Promise<Tensor[]> {
    const names = [...this.outputNames];
    if (!this.#hasControlFlow) {
      try {
        return asList(this.#model.execute(inputs, names));
      } catch (error) {
        // TF.js tells only by this message that a graph has loops, branches or outputs of unknown size.
        if (!(error instanceof Error && error.message.includes('executeAsync'))) throw error;
        this.#hasControlFlow = true;
      }
    }
    return asList(await this.#model.executeAsync(inputs, names));
  }
}

function asList(outputs: Tensor | Tensor[]): Tensor[] {
  return Array.isArray(outputs) ? outputs : [outputs];
}

function present(batch: Tensors, name: string): HostTensor {
  const answer = batch.get(name);
  if (answer === undefined) throw new Error(`a batch was answered without output ${name}`);
  return answer;
}

async function onHost(name: string, output: Tensor | undefined, count: number): Promise<HostTensor> {
  if (output === undefined) throw new Error(`the model did not give output ${name}`);
  if (output.dtype === 'complex64') {
    throw new Error(`output ${name} is of type ${output.dtype}, which the parity page cannot carry`);
  }
  if (output.shape[0] !== count) {
    throw new Error(`output ${name} has shape [${output.shape.join(', ')}] for a batch of ${count} samples`);
  }
  if (output.dtype === 'string') {
    return { dtype: 'string', shape: output.shape, values: (await output.bytes()) as Uint8Array[] };
  }
  // WebGPU alone cannot wait. The others should: TF.js finds out by timer ticks of 4 ms that a WebGL answer is there,
  // which is as long as a small model takes.
  const values = getBackend() === 'webgpu' ? await output.data() : output.dataSync();
  return { dtype: output.dtype, shape: output.shape, values };
}
