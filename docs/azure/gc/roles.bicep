// What the collector's identity may do. Deploy into the resource group of the accounts.
@description('Principal id of the identity under which xva-batch-gc runs')
param principalId string
param workAccountName string
param ledgerAccountName string
param batchAccountName string
@description('true when rules.idlePools has the action "resize": the collector may then write pools')
param resizePools bool = false

// Ids as in Azure's built-in roles, one definition each; a built-in role's id never changes.
var roles = {
  blobData: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
  tableData: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
  reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7' // Reader: soft-delete settings
  batchJobs: '48e5e92e-a480-4e71-aa9c-2778f4c13781' // Azure Batch Job Submitter: jobs, schedules and tasks; reads pools
  batchData: '6aaa78f1-f7de-44ca-8722-c64a23943cae' // Azure Batch Data Contributor: that, and writes pools
}

resource work 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: workAccountName
}
resource ledger 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: ledgerAccountName
}
resource batch 'Microsoft.Batch/batchAccounts@2024-07-01' existing = {
  name: batchAccountName
}

resource workBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(work.id, principalId, roles.blobData)
  scope: work
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobData)
  }
}
resource workSettings 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(work.id, principalId, roles.reader)
  scope: work
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.reader)
  }
}
resource ledgerBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(ledger.id, principalId, roles.blobData)
  scope: ledger
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobData)
  }
}
resource ledgerSettings 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(ledger.id, principalId, roles.reader)
  scope: ledger
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.reader)
  }
}
resource ledgerTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(ledger.id, principalId, roles.tableData)
  scope: ledger
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.tableData)
  }
}
var batchRole = resizePools ? roles.batchData : roles.batchJobs
resource jobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(batch.id, principalId, batchRole)
  scope: batch
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', batchRole)
  }
}
