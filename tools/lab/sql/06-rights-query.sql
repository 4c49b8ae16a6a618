-- The least that the integrator needs in `query` mode: it reads and writes nothing. Add the login's user with:
-- ALTER ROLE xva_integrator_reader ADD MEMBER [the user];
IF DATABASE_PRINCIPAL_ID(N'xva_integrator_reader') IS NULL
  CREATE ROLE xva_integrator_reader;
GO
-- Everything that the condition and the detail queries read; here the tables of the sample schema.
GRANT SELECT ON OBJECT::xva.RunRequest TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.NettingSet TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Trade TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Quote TO xva_integrator_reader;
GRANT SELECT ON OBJECT::xva.Fixing TO xva_integrator_reader;
GO
