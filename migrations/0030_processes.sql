-- Which process a worker is: an observer on the same machine sees at once that it is gone.
ALTER TABLE workers ADD COLUMN process text;
