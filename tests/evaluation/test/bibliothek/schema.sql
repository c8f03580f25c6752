-- Eine Stadtbibliothek mit Zweigstellen: Bestand, Ausleihe, Gebühren, Veranstaltungen.
CREATE TABLE zweigstellen (
  zweigstelle_id integer PRIMARY KEY,
  name text NOT NULL UNIQUE,
  stadtteil text NOT NULL,
  eroeffnet_am date
);
COMMENT ON TABLE zweigstellen IS 'Häuser der Stadtbibliothek';

CREATE TABLE verlage (
  verlag_id integer PRIMARY KEY,
  name text NOT NULL UNIQUE,
  ort text
);

CREATE TABLE autoren (
  autor_id integer PRIMARY KEY,
  nachname text NOT NULL,
  vorname text,
  geburtsjahr integer
);
COMMENT ON TABLE autoren IS 'Verfasserinnen und Verfasser';

CREATE TABLE titel (
  titel_id integer PRIMARY KEY,
  titel text NOT NULL,
  autor_id integer REFERENCES autoren,
  verlag_id integer REFERENCES verlage,
  erscheinungsjahr integer,
  sachgruppe text NOT NULL CHECK (sachgruppe IN ('Roman', 'Sachbuch', 'Kinderbuch', 'Comic')),
  sprache text NOT NULL
);
COMMENT ON TABLE titel IS 'Werke, unabhängig von der Zahl der Exemplare';
COMMENT ON COLUMN titel.sachgruppe IS 'Roman, Sachbuch, Kinderbuch oder Comic';
COMMENT ON COLUMN titel.sprache IS 'Zwei Buchstaben, z. B. de';
COMMENT ON COLUMN titel.autor_id IS 'Leer bei Sammelwerken';

CREATE TABLE exemplare (
  exemplar_id bigint PRIMARY KEY,
  titel_id integer NOT NULL REFERENCES titel,
  zweigstelle_id integer NOT NULL REFERENCES zweigstellen,
  angeschafft_am date NOT NULL,
  preis numeric(8,2),
  zustand text NOT NULL CHECK (zustand IN ('neu', 'gut', 'abgenutzt', 'ausgesondert'))
);
COMMENT ON TABLE exemplare IS 'Einzelne Bücher im Regal';
COMMENT ON COLUMN exemplare.preis IS 'Kaufpreis in Euro; leer bei Schenkungen';
COMMENT ON COLUMN exemplare.zustand IS 'neu, gut, abgenutzt oder ausgesondert';

CREATE TABLE leser (
  leser_id integer PRIMARY KEY,
  name text NOT NULL,
  postleitzahl text NOT NULL,
  geboren_am date,
  angemeldet_am date NOT NULL,
  gesperrt boolean NOT NULL
);
COMMENT ON TABLE leser IS 'Personen mit Bibliotheksausweis';

CREATE TABLE ausleihen (
  ausleihe_id bigint PRIMARY KEY,
  exemplar_id bigint NOT NULL REFERENCES exemplare,
  leser_id integer NOT NULL REFERENCES leser,
  ausgabe_zweigstelle_id integer NOT NULL REFERENCES zweigstellen,
  rueckgabe_zweigstelle_id integer REFERENCES zweigstellen,
  ausgeliehen_am timestamptz NOT NULL,
  faellig_am date NOT NULL,
  zurueckgegeben_am timestamptz,
  verlaengerungen integer NOT NULL
);
COMMENT ON TABLE ausleihen IS 'Eine Zeile je ausgeliehenem Exemplar';
COMMENT ON COLUMN ausleihen.ausgabe_zweigstelle_id IS 'Wo das Buch abgeholt wurde';
COMMENT ON COLUMN ausleihen.rueckgabe_zweigstelle_id IS 'Wo das Buch zurückgegeben wurde; leer, solange es ausgeliehen ist';
COMMENT ON COLUMN ausleihen.zurueckgegeben_am IS 'Leer, solange das Buch ausgeliehen ist';

CREATE TABLE gebuehren (
  gebuehr_id bigint PRIMARY KEY,
  leser_id integer NOT NULL REFERENCES leser,
  ausleihe_id bigint REFERENCES ausleihen,
  art text NOT NULL CHECK (art IN ('Mahnung', 'Jahresbeitrag', 'Ersatz')),
  betrag numeric(8,2) NOT NULL,
  gebucht_am date NOT NULL,
  bezahlt boolean NOT NULL
);
COMMENT ON TABLE gebuehren IS 'Mahngebühren, Jahresbeiträge und Ersatzkosten';
COMMENT ON COLUMN gebuehren.betrag IS 'In Euro; negativ bei Gutschriften';

CREATE TABLE vormerkungen (
  vormerkung_id bigint PRIMARY KEY,
  titel_id integer NOT NULL REFERENCES titel,
  leser_id integer NOT NULL REFERENCES leser,
  vorgemerkt_am timestamptz NOT NULL,
  erledigt boolean NOT NULL
);

CREATE TABLE veranstaltungen (
  veranstaltung_id integer PRIMARY KEY,
  zweigstelle_id integer NOT NULL REFERENCES zweigstellen,
  bezeichnung text NOT NULL,
  beginnt_am timestamptz NOT NULL,
  teilnehmer integer,
  eintritt numeric(6,2) NOT NULL
);
COMMENT ON COLUMN veranstaltungen.teilnehmer IS 'Leer, wenn nicht gezählt wurde';
COMMENT ON COLUMN veranstaltungen.eintritt IS 'Eintritt je Person in Euro, 0 bei freiem Eintritt';
