-- The DBA's to give: with it the integrator reads a request and its details as of one instant without a lock. Without it
-- the integrator reads SERIALIZABLE, which holds writers of the same book and day back for the milliseconds of the read.
ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
GO
