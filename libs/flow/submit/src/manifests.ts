import { ContractError, manifestSchema, parseContractText, sha256Hex, type Manifest } from '@xva/contracts';
import { RequestRefusedError } from './errors.ts';
import type { WorkStorage } from './ports.ts';

export interface ManifestSource {
  /** Undefined when there is no such package. */
  get(packageId: string): Promise<Manifest | undefined>;
}

/** Manifests by package id, checked against it; the last few are kept, since a name can never hold other content. */
export class ManifestCache implements ManifestSource {
  readonly #objects: WorkStorage['objects'];
  readonly #known = new Map<string, Manifest>();
  readonly #capacity: number;

  constructor(objects: WorkStorage['objects'], capacity = 32) {
    this.#objects = objects;
    this.#capacity = capacity;
  }

  /** @throws RequestRefusedError when the bytes are not what the id says, or no manifest. */
  async get(packageId: string): Promise<Manifest | undefined> {
    const known = this.#known.get(packageId);
    if (known !== undefined) return known;
    const blob = await this.#objects.get(packageId);
    if (blob === undefined) return undefined;
    const manifest = readManifest(packageId, blob.bytes);
    this.#known.set(packageId, manifest);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.#capacity) break;
      this.#known.delete(oldest);
    }
    return manifest;
  }
}

/** @throws RequestRefusedError when the bytes are not the manifest that the id names. */
export function readManifest(packageId: string, bytes: Uint8Array): Manifest {
  const actual = sha256Hex(bytes);
  if (actual !== packageId) {
    const message = `objects/${packageId} holds other bytes: their SHA-256 is ${actual}`;
    throw new RequestRefusedError('package-corrupt', packageId, message);
  }
  try {
    return parseContractText(manifestSchema, Buffer.from(bytes).toString('utf8'), `manifest ${packageId}`);
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    throw new RequestRefusedError('manifest-not-valid', packageId, error.message);
  }
}
