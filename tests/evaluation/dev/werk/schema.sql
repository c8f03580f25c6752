-- Ein Werk, das Pumpen baut: Artikel, Fertigungsaufträge, Rückmeldungen, Maschinen, Einkauf, Lager, Prüfungen.
CREATE SCHEMA erp;

CREATE TABLE erp.artgrp (
  grp_nr integer PRIMARY KEY,
  bez text NOT NULL
);
COMMENT ON TABLE erp.artgrp IS 'Artikelgruppen';
COMMENT ON COLUMN erp.artgrp.bez IS 'Bezeichnung der Artikelgruppe';

CREATE TABLE erp.art (
  art_nr text PRIMARY KEY,
  bez text NOT NULL,
  grp_nr integer NOT NULL REFERENCES erp.artgrp,
  meinh text NOT NULL,
  gew_kg numeric(10,3),
  gesperrt boolean NOT NULL,
  anl_dat date NOT NULL
);
COMMENT ON TABLE erp.art IS 'Artikelstamm';
COMMENT ON COLUMN erp.art.bez IS 'Bezeichnung des Artikels';
COMMENT ON COLUMN erp.art.meinh IS 'Mengeneinheit: ST, KG oder M; gilt für alle Mengen des Artikels';
COMMENT ON COLUMN erp.art.gew_kg IS 'Gewicht je Mengeneinheit in kg, leer: nicht gewogen';
COMMENT ON COLUMN erp.art.anl_dat IS 'Anlagedatum';

CREATE TABLE erp.abt (
  abt_nr integer PRIMARY KEY,
  bez text NOT NULL,
  kst text
);
COMMENT ON TABLE erp.abt IS 'Abteilungen';
COMMENT ON COLUMN erp.abt.kst IS 'Kostenstelle';

CREATE TABLE erp.ma (
  pers_nr integer PRIMARY KEY,
  nachname text NOT NULL,
  vorname text,
  abt_nr integer NOT NULL REFERENCES erp.abt,
  eintr_dat date NOT NULL,
  austr_dat date
);
COMMENT ON TABLE erp.ma IS 'Mitarbeiter';
COMMENT ON COLUMN erp.ma.eintr_dat IS 'Eintritt';
COMMENT ON COLUMN erp.ma.austr_dat IS 'Austritt, leer: noch im Werk';

CREATE TABLE erp.masch (
  masch_nr text PRIMARY KEY,
  bez text NOT NULL,
  abt_nr integer NOT NULL REFERENCES erp.abt,
  baujahr integer,
  stillgel_am date
);
COMMENT ON TABLE erp.masch IS 'Maschinen';
COMMENT ON COLUMN erp.masch.stillgel_am IS 'Stillgelegt am, leer: in Betrieb';

CREATE TABLE erp.lief (
  lief_nr integer PRIMARY KEY,
  firma text NOT NULL,
  ort text,
  land text
);
COMMENT ON TABLE erp.lief IS 'Lieferanten';

CREATE TABLE erp.best (
  best_nr text NOT NULL,
  pos_nr integer NOT NULL,
  lief_nr integer NOT NULL REFERENCES erp.lief,
  art_nr text NOT NULL REFERENCES erp.art,
  best_dat date NOT NULL,
  menge numeric(14,3) NOT NULL,
  wert_eur numeric(14,2) NOT NULL,
  erledigt boolean NOT NULL,
  PRIMARY KEY (best_nr, pos_nr)
);
COMMENT ON TABLE erp.best IS 'Bestellpositionen des Einkaufs';
COMMENT ON COLUMN erp.best.wert_eur IS 'Bestellwert der Position in EUR';

CREATE TABLE erp.fa (
  fa_nr bigint PRIMARY KEY,
  art_nr text NOT NULL REFERENCES erp.art,
  soll_mg numeric(12,3) NOT NULL,
  status text NOT NULL CHECK (status IN ('angelegt', 'freigegeben', 'laufend', 'fertig', 'storniert')),
  prio integer,
  angelegt_von integer NOT NULL REFERENCES erp.ma,
  verantw integer NOT NULL REFERENCES erp.ma,
  start_dat date NOT NULL,
  end_dat date
);
COMMENT ON TABLE erp.fa IS 'Fertigungsaufträge';
COMMENT ON COLUMN erp.fa.soll_mg IS 'Sollmenge';
COMMENT ON COLUMN erp.fa.angelegt_von IS 'Mitarbeiter, der den Auftrag angelegt hat';
COMMENT ON COLUMN erp.fa.verantw IS 'Verantwortlicher Mitarbeiter';

CREATE TABLE erp.rm (
  rm_id bigint PRIMARY KEY,
  fa_nr bigint NOT NULL REFERENCES erp.fa,
  masch_nr text NOT NULL REFERENCES erp.masch,
  rm_zeit timestamptz NOT NULL,
  gut_st integer NOT NULL,
  aussch_st integer NOT NULL,
  bearb_min numeric(8,2),
  schicht text NOT NULL
);
COMMENT ON TABLE erp.rm IS 'Rückmeldungen der Maschinen zu Fertigungsaufträgen';
COMMENT ON COLUMN erp.rm.rm_zeit IS 'Zeitpunkt der Rückmeldung';
COMMENT ON COLUMN erp.rm.gut_st IS 'Gutstück';
COMMENT ON COLUMN erp.rm.aussch_st IS 'Ausschuss in Stück';
COMMENT ON COLUMN erp.rm.bearb_min IS 'Bearbeitungszeit in Minuten';
COMMENT ON COLUMN erp.rm.schicht IS 'F Früh, S Spät, N Nacht';

CREATE TABLE erp.stoer (
  stoer_nr bigint PRIMARY KEY,
  masch_nr text NOT NULL REFERENCES erp.masch,
  beginn timestamptz NOT NULL,
  ende timestamptz,
  kat text
);
COMMENT ON TABLE erp.stoer IS 'Störungen der Maschinen';
COMMENT ON COLUMN erp.stoer.ende IS 'Leer, solange die Störung dauert';
COMMENT ON COLUMN erp.stoer.kat IS 'Kategorie: mechanisch, elektrisch, Material';

CREATE TABLE erp.lag (
  lag_nr text PRIMARY KEY,
  bez text NOT NULL
);
COMMENT ON TABLE erp.lag IS 'Lagerorte';

CREATE TABLE erp.bestand (
  lag_nr text NOT NULL REFERENCES erp.lag,
  art_nr text NOT NULL REFERENCES erp.art,
  charge text NOT NULL,
  menge numeric(14,3) NOT NULL,
  PRIMARY KEY (lag_nr, art_nr, charge)
);
COMMENT ON TABLE erp.bestand IS 'Lagerbestand je Lagerort, Artikel und Charge, in der Mengeneinheit des Artikels';

CREATE TABLE erp.pruef (
  pruef_nr bigint PRIMARY KEY,
  fa_nr bigint NOT NULL REFERENCES erp.fa,
  pruef_zeit timestamptz NOT NULL,
  merkmal text NOT NULL,
  messwert numeric(12,4),
  erg text
);
COMMENT ON TABLE erp.pruef IS 'Qualitätsprüfungen';
COMMENT ON COLUMN erp.pruef.erg IS 'Ergebnis: iO oder niO';
