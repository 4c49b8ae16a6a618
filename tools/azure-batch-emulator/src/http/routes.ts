import { accountOperations } from '../ops/account.ts';
import { autoscaleOperations } from '../ops/autoscale.ts';
import { jobOperations } from '../ops/jobs.ts';
import { nodeFiles, taskFiles } from '../ops/files.ts';
import { nodeOperations } from '../ops/nodes.ts';
import { poolOperations } from '../ops/pools.ts';
import { scheduleOperations } from '../ops/schedules.ts';
import { taskOperations } from '../ops/tasks.ts';
import { notImplemented, refusal } from '../wire/errors.ts';
import type { Operation } from './call.ts';

export interface Route {
  /** The operation's name, as fault rules and the transcript use it. */
  readonly name: string;
  readonly method: string;
  /** Segments; `{x}` takes one, `{x+}` the rest. */
  readonly pattern: readonly string[];
  readonly operation: Operation;
}

function route(name: string, verb: string, operation: Operation): Route {
  const [method = '', path = ''] = verb.split(' ');
  return { name, method, pattern: path.split('/').slice(1), operation };
}

function lacks(verb: string, what: string): Route {
  return route(`NotImplemented`, verb, () => {
    throw notImplemented(what);
  });
}

/** Every operation of the data plane: what this emulator does, and what it refuses by name. */
export const routes: readonly Route[] = [
  route('Pool_Add', 'POST /pools', poolOperations.add),
  route('Pool_List', 'GET /pools', poolOperations.list),
  route('Pool_Get', 'GET /pools/{pool}', poolOperations.get),
  route('Pool_Exists', 'HEAD /pools/{pool}', poolOperations.exists),
  route('Pool_Patch', 'PATCH /pools/{pool}', poolOperations.patch),
  route('Pool_Delete', 'DELETE /pools/{pool}', poolOperations.remove),
  route('Pool_Resize', 'POST /pools/{pool}/resize', poolOperations.resize),
  route('Pool_StopResize', 'POST /pools/{pool}/stopresize', poolOperations.stopResize),
  route('Pool_RemoveNodes', 'POST /pools/{pool}/removenodes', nodeOperations.removeNodes),
  route('Pool_UpdateProperties', 'POST /pools/{pool}/updateproperties', poolOperations.updateProperties),
  route('Pool_EnableAutoScale', 'POST /pools/{pool}/enableautoscale', autoscaleOperations.enable),
  route('Pool_DisableAutoScale', 'POST /pools/{pool}/disableautoscale', autoscaleOperations.disable),
  route('Pool_EvaluateAutoScale', 'POST /pools/{pool}/evaluateautoscale', autoscaleOperations.evaluate),
  route('ComputeNode_List', 'GET /pools/{pool}/nodes', nodeOperations.list),
  route('ComputeNode_Get', 'GET /pools/{pool}/nodes/{node}', nodeOperations.get),
  route('ComputeNode_Reboot', 'POST /pools/{pool}/nodes/{node}/reboot', nodeOperations.reboot),
  route(
    'ComputeNode_DisableScheduling',
    'POST /pools/{pool}/nodes/{node}/disablescheduling',
    nodeOperations.disableScheduling,
  ),
  route(
    'ComputeNode_EnableScheduling',
    'POST /pools/{pool}/nodes/{node}/enablescheduling',
    nodeOperations.enableScheduling,
  ),
  route('ComputeNode_Reimage', 'POST /pools/{pool}/nodes/{node}/reimage', nodeOperations.reimage),
  route('ComputeNode_Start', 'POST /pools/{pool}/nodes/{node}/start', nodeOperations.start),
  route('ComputeNode_Deallocate', 'POST /pools/{pool}/nodes/{node}/deallocate', nodeOperations.deallocate),
  lacks('POST /pools/{pool}/nodes/{node}/uploadbatchservicelogs', 'uploading node agent logs'),
  route(
    'ComputeNode_GetRemoteLoginSettings',
    'GET /pools/{pool}/nodes/{node}/remoteloginsettings',
    nodeOperations.remoteLogin,
  ),
  lacks('GET /pools/{pool}/nodes/{node}/rdp', 'remote desktops of nodes (Windows)'),
  route('ComputeNode_AddUser', 'POST /pools/{pool}/nodes/{node}/users', nodeOperations.addUser),
  route('ComputeNode_UpdateUser', 'PUT /pools/{pool}/nodes/{node}/users/{user}', nodeOperations.updateUser),
  route('ComputeNode_DeleteUser', 'DELETE /pools/{pool}/nodes/{node}/users/{user}', nodeOperations.removeUser),
  lacks('GET /pools/{pool}/nodes/{node}/extensions', 'extensions of nodes'),
  lacks('GET /pools/{pool}/nodes/{node}/extensions/{extension}', 'extensions of nodes'),
  route('File_ListFromComputeNode', 'GET /pools/{pool}/nodes/{node}/files', nodeFiles.list),
  route('File_GetFromComputeNode', 'GET /pools/{pool}/nodes/{node}/files/{file+}', nodeFiles.get),
  route('File_GetPropertiesFromComputeNode', 'HEAD /pools/{pool}/nodes/{node}/files/{file+}', nodeFiles.head),
  route('File_DeleteFromComputeNode', 'DELETE /pools/{pool}/nodes/{node}/files/{file+}', nodeFiles.remove),
  route('Account_ListPoolNodeCounts', 'GET /nodecounts', nodeOperations.counts),
  route('Account_ListSupportedImages', 'GET /supportedimages', accountOperations.supportedImages),
  route('Job_Add', 'POST /jobs', jobOperations.add),
  route('Job_List', 'GET /jobs', jobOperations.list),
  route('Job_Get', 'GET /jobs/{job}', jobOperations.get),
  route('Job_Patch', 'PATCH /jobs/{job}', jobOperations.patch),
  route('Job_Update', 'PUT /jobs/{job}', jobOperations.put),
  route('Job_Delete', 'DELETE /jobs/{job}', jobOperations.remove),
  route('Job_Disable', 'POST /jobs/{job}/disable', jobOperations.disable),
  route('Job_Enable', 'POST /jobs/{job}/enable', jobOperations.enable),
  route('Job_Terminate', 'POST /jobs/{job}/terminate', jobOperations.terminate),
  route('Job_GetTaskCounts', 'GET /jobs/{job}/taskcounts', jobOperations.taskCounts),
  route(
    'Job_ListPreparationAndReleaseTaskStatus',
    'GET /jobs/{job}/jobpreparationandreleasetaskstatus',
    jobOperations.preparationStatus,
  ),
  route('Task_Add', 'POST /jobs/{job}/tasks', taskOperations.add),
  route('Task_AddCollection', 'POST /jobs/{job}/addtaskcollection', taskOperations.addCollection),
  route('Task_List', 'GET /jobs/{job}/tasks', taskOperations.list),
  route('Task_Get', 'GET /jobs/{job}/tasks/{task}', taskOperations.get),
  route('Task_Update', 'PUT /jobs/{job}/tasks/{task}', taskOperations.put),
  route('Task_Delete', 'DELETE /jobs/{job}/tasks/{task}', taskOperations.remove),
  route('Task_Terminate', 'POST /jobs/{job}/tasks/{task}/terminate', taskOperations.terminate),
  route('Task_Reactivate', 'POST /jobs/{job}/tasks/{task}/reactivate', taskOperations.reactivate),
  route('Task_ListSubtasks', 'GET /jobs/{job}/tasks/{task}/subtasksinfo', taskOperations.subtasks),
  route('File_ListFromTask', 'GET /jobs/{job}/tasks/{task}/files', taskFiles.list),
  route('File_GetFromTask', 'GET /jobs/{job}/tasks/{task}/files/{file+}', taskFiles.get),
  route('File_GetPropertiesFromTask', 'HEAD /jobs/{job}/tasks/{task}/files/{file+}', taskFiles.head),
  route('File_DeleteFromTask', 'DELETE /jobs/{job}/tasks/{task}/files/{file+}', taskFiles.remove),
  route('JobSchedule_Add', 'POST /jobschedules', scheduleOperations.add),
  route('JobSchedule_List', 'GET /jobschedules', scheduleOperations.list),
  route('JobSchedule_Get', 'GET /jobschedules/{schedule}', scheduleOperations.get),
  route('JobSchedule_Exists', 'HEAD /jobschedules/{schedule}', scheduleOperations.exists),
  route('JobSchedule_Patch', 'PATCH /jobschedules/{schedule}', scheduleOperations.patch),
  route('JobSchedule_Update', 'PUT /jobschedules/{schedule}', scheduleOperations.put),
  route('JobSchedule_Delete', 'DELETE /jobschedules/{schedule}', scheduleOperations.remove),
  route('JobSchedule_Disable', 'POST /jobschedules/{schedule}/disable', scheduleOperations.disable),
  route('JobSchedule_Enable', 'POST /jobschedules/{schedule}/enable', scheduleOperations.enable),
  route('JobSchedule_Terminate', 'POST /jobschedules/{schedule}/terminate', scheduleOperations.terminate),
  route('Job_ListFromJobSchedule', 'GET /jobschedules/{schedule}/jobs', scheduleOperations.jobs),
  ...['GET', 'POST'].map((method) => lacks(`${method} /certificates`, 'certificates')),
  ...['GET', 'POST', 'DELETE'].map((method) => lacks(`${method} /certificates{rest+}`, 'certificates')),
  lacks('GET /applications', 'application packages'),
  lacks('GET /applications/{application}', 'application packages'),
  route('Job_GetAllLifetimeStatistics', 'GET /lifetimejobstats', accountOperations.jobTotals),
  route('Pool_GetAllLifetimeStatistics', 'GET /lifetimepoolstats', accountOperations.poolTotals),
  route('Pool_ListUsageMetrics', 'GET /poolusagemetrics', accountOperations.usageMetrics),
];

function bind(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index];
    if (segment === undefined) return undefined;
    if (expected.endsWith('+}')) {
      params[expected.slice(expected.indexOf('{') + 1, -2)] = segments.slice(index).join('/');
      return expected.startsWith('{') || segment.startsWith(expected.slice(0, expected.indexOf('{')))
        ? params
        : undefined;
    }
    if (expected.startsWith('{')) {
      if (segment === '') return undefined;
      params[expected.slice(1, -1)] = segment;
    } else if (segment.toLowerCase() !== expected) return undefined;
  }
  return segments.length === pattern.length ? params : undefined;
}

/**
 * Finds the operation of a raw path (percent-encoded as it came: a file's path is one segment with `%2F` in it).
 *
 * @throws BatchError InvalidUri for a path that is nothing, UnsupportedHttpVerb for another method of a known path
 */
export function findRoute(
  method: string,
  rawPath: string,
): { readonly route: Route; readonly params: Record<string, string> } {
  let segments: string[];
  try {
    segments = rawPath.replace(/\/$/, '').split('/').slice(1).map(decodeURIComponent);
  } catch {
    throw refusal('InvalidUri');
  }
  let known = false;
  for (const candidate of routes) {
    const params = bind(candidate.pattern, segments);
    if (params === undefined) continue;
    if (candidate.method === method) return { route: candidate, params };
    known = true;
  }
  throw refusal(known ? 'UnsupportedHttpVerb' : 'InvalidUri');
}
