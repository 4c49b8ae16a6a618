-- Tables that the integrator reads and claims from. Runs on SQL Server 2016 or later (and on the simulator); every batch
-- may be run again. Times are UTC. Nothing here makes bad data impossible: a duplicate trade id or quote has to reach the
-- refusal that names it.
IF SCHEMA_ID(N'xva') IS NULL
  EXEC (N'CREATE SCHEMA xva');
GO

-- One row asks for one run. Status: 0 new, 1 claimed, 2 published, 9 poison (LastError says why).
-- A writer inserts the details first, or all in one transaction; the row itself comes last.
IF OBJECT_ID(N'xva.RunRequest', N'U') IS NULL
  CREATE TABLE xva.RunRequest (
    RequestId    bigint IDENTITY(1, 1) NOT NULL,
    Book         nvarchar(64)     NOT NULL,
    AsOf         date             NOT NULL,
    Cut          nvarchar(64)     NOT NULL,
    Scenario     nvarchar(64)     NOT NULL,
    Revision     int              NOT NULL,
    BaseCurrency nvarchar(10)     NOT NULL,
    Samples      int              NOT NULL,
    Seed         int              NOT NULL,
    Quantile     decimal(19, 18)  NOT NULL,
    DvaName      nvarchar(64)     NOT NULL,
    GridTenors   nvarchar(4000)   NULL,
    Strict       bit              NOT NULL CONSTRAINT DF_RunRequest_Strict DEFAULT (0),
    Priority     int              NOT NULL CONSTRAINT DF_RunRequest_Priority DEFAULT (0),
    Status       tinyint          NOT NULL CONSTRAINT DF_RunRequest_Status DEFAULT (0),
    NotBefore    datetime2(7)     NOT NULL CONSTRAINT DF_RunRequest_NotBefore DEFAULT (SYSUTCDATETIME()),
    LockedUntil  datetime2(7)     NULL,
    LeaseToken   uniqueidentifier NULL,
    LeaseOwner   nvarchar(200)    NULL,
    Attempts     int              NOT NULL CONSTRAINT DF_RunRequest_Attempts DEFAULT (0),
    LastError    nvarchar(4000)   NULL,
    Traceparent  nvarchar(55)     NULL,
    EventId      char(32)         NULL,
    PublishedAt  datetime2(7)     NULL,
    CreatedAt    datetime2(7)     NOT NULL CONSTRAINT DF_RunRequest_CreatedAt DEFAULT (SYSUTCDATETIME()),
    RowVer       rowversion       NOT NULL,
    CONSTRAINT PK_RunRequest PRIMARY KEY CLUSTERED (RequestId),
    CONSTRAINT UQ_RunRequest_Key UNIQUE (Book, AsOf, Cut, Scenario, Revision)
  );
GO

-- The claim seeks Status = 0 in this order and stops at the batch size. Not a filtered index: one would make every insert
-- fail (error 1934) for writers whose sessions have QUOTED_IDENTIFIER or ARITHABORT off.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'xva.RunRequest') AND name = N'IX_RunRequest_Claim')
  CREATE INDEX IX_RunRequest_Claim ON xva.RunRequest (Status, Priority DESC, RequestId) INCLUDE (NotBefore, LockedUntil);
GO

-- Csa is a JSON object as in the contract (`csa` of a netting set), NULL for a netting set without collateral.
IF OBJECT_ID(N'xva.NettingSet', N'U') IS NULL
  CREATE TABLE xva.NettingSet (
    RowId        bigint IDENTITY(1, 1) NOT NULL CONSTRAINT PK_NettingSet PRIMARY KEY,
    Book         nvarchar(64)  NOT NULL,
    NettingSetId nvarchar(200) NOT NULL,
    Counterparty nvarchar(200) NOT NULL,
    Csa          nvarchar(max) NULL
  );
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'xva.NettingSet') AND name = N'IX_NettingSet_Book')
  CREATE INDEX IX_NettingSet_Book ON xva.NettingSet (Book, NettingSetId);
GO

-- Terms is a JSON object as in the contract of the trade type.
IF OBJECT_ID(N'xva.Trade', N'U') IS NULL
  CREATE TABLE xva.Trade (
    RowId        bigint IDENTITY(1, 1) NOT NULL CONSTRAINT PK_Trade PRIMARY KEY,
    Book         nvarchar(64)  NOT NULL,
    TradeId      nvarchar(200) NOT NULL,
    NettingSetId nvarchar(200) NOT NULL,
    TradeType    nvarchar(200) NOT NULL,
    Terms        nvarchar(max) NOT NULL
  );
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'xva.Trade') AND name = N'IX_Trade_Book')
  CREATE INDEX IX_Trade_Book ON xva.Trade (Book, TradeId);
GO

IF OBJECT_ID(N'xva.Quote', N'U') IS NULL
  CREATE TABLE xva.Quote (
    RowId      bigint IDENTITY(1, 1) NOT NULL CONSTRAINT PK_Quote PRIMARY KEY,
    AsOf       date            NOT NULL,
    Cut        nvarchar(64)    NOT NULL,
    Scenario   nvarchar(64)    NOT NULL,
    QuoteKey   nvarchar(200)   NOT NULL,
    QuoteValue decimal(28, 12) NOT NULL
  );
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'xva.Quote') AND name = N'IX_Quote_Day')
  CREATE INDEX IX_Quote_Day ON xva.Quote (AsOf, Cut, Scenario) INCLUDE (QuoteKey, QuoteValue);
GO

IF OBJECT_ID(N'xva.Fixing', N'U') IS NULL
  CREATE TABLE xva.Fixing (
    RowId       bigint IDENTITY(1, 1) NOT NULL CONSTRAINT PK_Fixing PRIMARY KEY,
    IndexName   nvarchar(60)    NOT NULL,
    FixingDate  date            NOT NULL,
    FixingValue decimal(28, 12) NOT NULL
  );
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'xva.Fixing') AND name = N'IX_Fixing_Date')
  CREATE INDEX IX_Fixing_Date ON xva.Fixing (FixingDate) INCLUDE (IndexName, FixingValue);
GO
