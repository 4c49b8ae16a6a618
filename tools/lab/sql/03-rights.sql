-- The least that the integrator needs in `outbox` mode: read five tables, and write the claim's own columns of one.
-- No INSERT, no DELETE, no DDL. Add the login's user with: ALTER ROLE xva_integrator ADD MEMBER [the user];
IF DATABASE_PRINCIPAL_ID(N'xva_integrator') IS NULL
  CREATE ROLE xva_integrator;
GO
GRANT SELECT ON OBJECT::xva.RunRequest TO xva_integrator;
GRANT SELECT ON OBJECT::xva.NettingSet TO xva_integrator;
GRANT SELECT ON OBJECT::xva.Trade TO xva_integrator;
GRANT SELECT ON OBJECT::xva.Quote TO xva_integrator;
GRANT SELECT ON OBJECT::xva.Fixing TO xva_integrator;
GRANT UPDATE ON OBJECT::xva.RunRequest (
  Status, NotBefore, LockedUntil, LeaseToken, LeaseOwner, Attempts, LastError, EventId, PublishedAt
) TO xva_integrator;
GO
