CREATE TABLE member (id TEXT PRIMARY KEY, email TEXT UNIQUE, name TEXT CHECK (name <> 'Eve'), balance TEXT, joined TEXT, friend TEXT REFERENCES member(id));
CREATE TABLE visit (id TEXT PRIMARY KEY, member TEXT NOT NULL REFERENCES member(id), notes TEXT);
INSERT INTO member VALUES ('old', 'bob@example.org', 'Robert', NULL, NULL, NULL);
