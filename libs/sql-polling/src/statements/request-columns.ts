import type { PollingDefinition, RequestField } from '../definition/schema.ts';
import { requestFields } from '../definition/schema.ts';
import { quoteIdentifier } from '../identifiers.ts';

/** Fields that are converted to text in SQL, since the client would lose digits or shift days. */
const conversions: Partial<Record<RequestField, (column: string) => string>> = {
  asOf: (column) => `CONVERT(varchar(10), ${column}, 23)`,
  quantile: (column) => `CONVERT(varchar(42), ${column})`,
};

/** The column that a field comes from, or undefined for a constant or a rule. */
export function columnOf(definition: PollingDefinition, field: RequestField): string | undefined {
  const source = definition.mapping[field];
  return typeof source === 'string' ? source : undefined;
}

/** The rule by which the as-of date follows from a day, when the definition has one. */
export function asOfRuleOf({ mapping: { asOf } }: PollingDefinition): AsOfRule | undefined {
  return typeof asOf === 'object' && 'businessDaysBack' in asOf ? asOf : undefined;
}

type AsOfRule = Extract<PollingDefinition['mapping']['asOf'], { businessDaysBack: number }>;

/** Select list of the request's fields, each under its contract name; `prefix` is `inserted.` in an OUTPUT clause. */
export function requestColumns(definition: PollingDefinition, prefix = ''): string {
  return requestFields
    .flatMap((field) => {
      if (field === 'asOf' && definition.mode === 'outbox' && asOfRuleOf(definition) !== undefined) {
        return [`CONVERT(varchar(33), ${prefix}${quoteIdentifier(definition.columns.createdAt)}, 126) AS [asOf]`];
      }
      const column = columnOf(definition, field);
      if (column === undefined) return [];
      const quoted = `${prefix}${quoteIdentifier(column)}`;
      return [`${conversions[field]?.(quoted) ?? quoted} AS [${field}]`];
    })
    .join(', ');
}
