-- The least that the integrator needs in `rowversion` mode: it reads and writes nothing. Add the login's user with:
-- ALTER ROLE xva_integrator_reader ADD MEMBER [the user];
IF DATABASE_PRINCIPAL_ID(N'xva_integrator_reader') IS NULL
  CREATE ROLE xva_integrator_reader;
GO
GRANT SELECT ON OBJECT::xva.RunRequest TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.NettingSet TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Trade TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Quote TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Fixing TO xva_integrator_reader;
GO
-- Without this index every poll reads the whole table, and waits for rows that others have locked.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_RunRequest_RowVer')
  CREATE UNIQUE INDEX IX_RunRequest_RowVer ON xva.RunRequest (RowVer);
GO
