-- The least that the integrator needs in `changeTracking` mode: it reads and writes nothing. Add the login's user with:
-- ALTER ROLE xva_integrator_reader ADD MEMBER [the user];
IF DATABASE_PRINCIPAL_ID(N'xva_integrator_reader') IS NULL
  CREATE ROLE xva_integrator_reader;
GO
GRANT SELECT ON OBJECT::xva.RunRequest TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.NettingSet TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Trade TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Quote TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Fixing TO xva_integrator_reader;
GRANT VIEW CHANGE TRACKING ON OBJECT::xva.RunRequest TO xva_integrator_reader;
GO
-- For the DBA: longer than the longest time that the integrator may be down.
ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
GO
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE database_id = DB_ID())
  ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);
GO
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID(N'xva.RunRequest'))
  ALTER TABLE xva.RunRequest ENABLE CHANGE_TRACKING;
GO
