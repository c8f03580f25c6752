INSERT INTO "Ops"."Customer" VALUES (901, 'Neu & Co', NULL, NULL, 'industry', false);
UPDATE "Ops"."Customer" SET "VIP?" = NOT "VIP?" WHERE "No" IN (1, 2);
INSERT INTO "Ops"."Order" VALUES (9001, 901, 1, 3, '2026-05-04 08:00Z', '2026-05-08', 'open', 'B', 2, 44.000, 120.00), (9002, 1, 2, 1, '2026-05-04 09:00Z', NULL, 'open', 'C', 1, 3.500, NULL);
UPDATE "Ops"."Order" SET "Status" = 'delivered' WHERE "Id" = 4;
INSERT INTO "Ops"."Tour" VALUES ('N-1', 1, '2026-05-04', 140.0, 99.50);
INSERT INTO "Ops"."damage; reports" VALUES (9001, 9001, '2026-05-05', 75.00, false);
UPDATE "Ops"."damage; reports" SET "it's paid" = true WHERE "id" = 2;
DELETE FROM "Ops"."damage; reports" WHERE "id" = 4;
INSERT INTO "Ops"."Depot" VALUES (90, 'Gdańsk', 'PL', NULL);
