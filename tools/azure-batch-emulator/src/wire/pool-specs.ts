import { maxFormulaLength } from '../autoscale/parser.ts';
import { refusal } from './errors.ts';
import { between, dateTime, type Shortest } from './schedule-specs.ts';
import {
  anything,
  boolean,
  identifier,
  integer,
  lacking,
  list,
  object,
  oneOf,
  required,
  text,
  type Check,
} from './shape.ts';
import { nameValues, startTask } from './specs.ts';
import type { PoolSpec } from './spec-types.ts';

const nodeCount = integer(0, 10_000);
const nodeDeallocationOption = oneOf('requeue', 'terminate', 'taskcompletion', 'retaineddata');

const changeablePoolFields = {
  displayName: text({ max: 1024 }),
  metadata: nameValues,
  startTask,
  applicationPackageReferences: lacking('application packages'),
  certificateReferences: lacking('certificates'),
  targetNodeCommunicationMode: oneOf('default', 'classic', 'simplified'),
};
const evaluationInterval = (shortest: Shortest): Check => between(shortest.autoscaleSeconds, 168 * 3600);
const formula = text({ max: maxFormulaLength });
const resizeTimeout = between(300, 168 * 3600);

const poolFields = (shortest: Shortest): Check =>
  object({
    ...changeablePoolFields,
    id: required(identifier),
    vmSize: required(text({ min: 1 })),
    virtualMachineConfiguration: anything,
    cloudServiceConfiguration: lacking('cloud service pools'),
    networkConfiguration: anything,
    targetDedicatedNodes: nodeCount,
    targetLowPriorityNodes: nodeCount,
    enableAutoScale: boolean,
    autoScaleFormula: formula,
    autoScaleEvaluationInterval: evaluationInterval(shortest),
    enableInterNodeCommunication: boolean,
    resizeTimeout,
    taskSlotsPerNode: integer(1, 256),
    taskSchedulingPolicy: object({ nodeFillType: required(oneOf('spread', 'pack')) }),
    userAccounts: anything,
    applicationLicenses: lacking('application licenses'),
    mountConfiguration: lacking('mounts (mountConfiguration)'),
    upgradePolicy: anything,
    resourceTags: anything,
  });

export const poolShape =
  (shortest: Shortest): Check =>
  (value, path) => {
    const spec = poolFields(shortest)(value, path) as PoolSpec;
    const unset = (names: readonly (keyof PoolSpec)[], reason: string): void => {
      const name = names.find((candidate) => spec[candidate] !== undefined);
      if (name !== undefined) throw refusal('InvalidAutoScalingSettings', { PropertyName: name, Reason: reason });
    };
    if (spec.enableAutoScale !== true) {
      unset(['autoScaleFormula', 'autoScaleEvaluationInterval'], 'enableAutoScale is not true');
      return spec;
    }
    unset(['targetDedicatedNodes', 'targetLowPriorityNodes', 'resizeTimeout'], 'enableAutoScale is true');
    if (spec.autoScaleFormula === undefined) {
      throw refusal('MissingRequiredProperty', { PropertyName: 'autoScaleFormula' });
    }
    return spec;
  };
export const enableAutoScaleShape = (shortest: Shortest): Check =>
  object({ autoScaleFormula: formula, autoScaleEvaluationInterval: evaluationInterval(shortest) });
export const evaluateAutoScaleShape: Check = object({ autoScaleFormula: required(formula) });
/** `updateproperties` replaces all of these: what a body leaves out is gone. */
export const poolPropertiesShape: Check = object({
  ...changeablePoolFields,
  applicationPackageReferences: required(changeablePoolFields.applicationPackageReferences),
  metadata: required(nameValues),
});
export const poolPatchShape: Check = object(changeablePoolFields);
export const poolResizeShape: Check = object({
  targetDedicatedNodes: nodeCount,
  targetLowPriorityNodes: nodeCount,
  resizeTimeout,
  nodeDeallocationOption,
});
export const removeNodesShape: Check = object({
  nodeList: required(list(text({ min: 1 }), 100)),
  resizeTimeout,
  nodeDeallocationOption,
});
export const nodeReimageShape: Check = object({ nodeReimageOption: nodeDeallocationOption });
export const nodeDeallocateShape: Check = object({ nodeDeallocateOption: nodeDeallocationOption });
const userFields = { password: text({ min: 1 }), sshPublicKey: text({ min: 1 }), expiryTime: dateTime };
export const nodeUserShape: Check = object({
  name: required(text({ min: 1, max: 20 })),
  isAdmin: boolean,
  ...userFields,
});
export const nodeUserPutShape: Check = object(userFields);
export const nodeRebootShape: Check = object({ nodeRebootOption: nodeDeallocationOption });
export const nodeDisableShape: Check = object({
  nodeDisableSchedulingOption: oneOf('requeue', 'terminate', 'taskcompletion'),
});
