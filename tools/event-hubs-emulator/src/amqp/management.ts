import type { Grants } from '../auth/sas.ts';
import { EntityNotFoundError, type Hub } from '../hubs/hub.ts';
import type { Reply } from './cbs.ts';
import { condition } from './errors.ts';
import { typed } from './rhea.ts';
import type { RequestMessage } from './rhea-shapes.ts';
import type { Service } from './service.ts';

function readHub(hub: Hub): unknown {
  return typed.map({
    name: hub.name,
    type: 'com.microsoft:eventhub',
    created_at: typed.timestamp(hub.createdMs),
    partition_count: typed.int(hub.partitions.length),
    partition_ids: typed.strings(hub.partitions.map((partition) => partition.id)),
    georeplication_factor: typed.int(1),
  });
}

function readPartition(hub: Hub, id: string): unknown {
  const { info } = hub.partition(id).log;
  return typed.map({
    name: hub.name,
    type: 'com.microsoft:partition',
    partition: id,
    begin_sequence_number: typed.long(info.beginSequence),
    last_enqueued_sequence_number: typed.long(info.lastSequence),
    last_enqueued_offset: String(info.lastOffset),
    last_enqueued_time_utc: typed.timestamp(info.lastEnqueuedMs),
    is_partition_empty: info.isEmpty,
  });
}

/** `READ` of a hub or a partition on `$management`. */
export function manage(request: RequestMessage, service: Service, grants: Grants): Reply {
  const properties = request.application_properties ?? {};
  const [operation, type, name] = ['operation', 'type', 'name'].map((key) => String(properties[key]));
  if (operation !== 'READ' || name === undefined) {
    return {
      status: 501,
      description: `operation '${operation ?? ''}' is not served`,
      condition: condition.notImplemented,
    };
  }
  // A token for the hub or for `hub/$management` will do.
  const refusal = grants.refusal(`${name}/$management`, undefined, service.now());
  if (refusal !== '') return { status: 401, description: refusal, condition: condition.unauthorized };
  try {
    const hub = service.registry.hub(name);
    if (type === 'com.microsoft:eventhub') return { status: 200, description: 'OK', body: readHub(hub) };
    if (type === 'com.microsoft:partition') {
      return { status: 200, description: 'OK', body: readPartition(hub, String(properties['partition'])) };
    }
    return {
      status: 501,
      description: `entity type '${type ?? ''}' is not served`,
      condition: condition.notImplemented,
    };
  } catch (error) {
    if (!(error instanceof EntityNotFoundError)) throw error;
    return { status: 404, description: error.message, condition: condition.notFound };
  }
}
