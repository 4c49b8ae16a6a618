import type { ByteReader } from './byte-reader.ts';
import { outsideSubset } from '../types/sql-error.ts';
import { type Parameter, readParameter } from './type-info.ts';

export interface RpcParameter extends Parameter {
  readonly name: string;
  readonly byReference: boolean;
}

export interface RpcCall {
  readonly procedure: string;
  readonly parameters: readonly RpcParameter[];
}

/** Well-known procedure ids (MS-TDS 2.2.6.6). */
const procedures: Readonly<Record<number, string>> = {
  10: 'sp_executesql',
  11: 'sp_prepare',
  12: 'sp_execute',
  13: 'sp_prepexec',
  15: 'sp_unprepare',
};

/** Reads an RPC request after its headers. @throws SqlError for procedures outside the subset, ProtocolError */
export function readRpc(reader: ByteReader): RpcCall {
  const length = reader.u16();
  let procedure: string;
  if (length === 0xffff) {
    const id = reader.u16();
    procedure = procedures[id] ?? '';
    if (procedure === '') throw outsideSubset(`procedure id ${id}`);
  } else {
    procedure = reader
      .ucs2(length)
      .toLowerCase()
      .replace(/^(?:\[?sys\]?\.)?\[?(\w+)\]?$/, '$1');
  }
  reader.u16();
  const parameters: RpcParameter[] = [];
  while (reader.left > 0) {
    const name = reader.shortText();
    const status = reader.u8();
    parameters.push({ name, byReference: (status & 1) !== 0, ...readParameter(reader) });
  }
  return { procedure, parameters };
}
