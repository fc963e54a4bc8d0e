/** What the Python side asks of the page, and how the page fetches it and answers. */

export type Instruction =
  | { readonly id: number; readonly kind: 'load'; readonly url: string; readonly backend: string }
  | { readonly id: number; readonly kind: 'run'; readonly batchSize: number }
  | { readonly id: number; readonly kind: 'unload' }
  | { readonly id: number; readonly kind: 'kernels'; readonly backend: string };

/** The page's end of the conversation; `base` is the address that holds the token. */
export class Conversation {
  constructor(private readonly base: URL) {}

  /** Waits until the server has something to do, or for as long as it holds the request open. */
  async next(): Promise<Instruction | null> {
    const response = await this.#fetched('next');
    return response.status === 204 ? null : ((await response.json()) as Instruction);
  }

  async inputsOf(id: number): Promise<ArrayBuffer> {
    return (await this.#fetched(`inputs/${id}`)).arrayBuffer();
  }

  async answer(id: number, body: Blob): Promise<void> {
    await this.#fetched(`answers/${id}`, { method: 'POST', body });
  }

  /** Says that the page is at work, so that a long run is not taken for a page that hangs. */
  async progress(id: number): Promise<void> {
    await this.#fetched(`progress/${id}`, { method: 'POST' });
  }

  /** Says what went wrong: with an instruction, or (without an id) with the page as a whole. */
  async fail(error: unknown, id?: number): Promise<void> {
    const body = new Blob([JSON.stringify({ problem: describe(error) })], { type: 'application/json' });
    await this.#fetched(id === undefined ? 'broken' : `failures/${id}`, { method: 'POST', body });
  }

  async #fetched(path: string, options: RequestInit = {}): Promise<Response> {
    const response = await fetch(new URL(path, this.base), { cache: 'no-store', ...options });
    if (!response.ok)
      throw new Error(`${path}: the server answered ${response.status} ${response.statusText}`);
    return response;
  }
}

export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
