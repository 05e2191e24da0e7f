-- What is known of the requests that a workspace may still send to the Edges API, as
-- `app.budget.BudgetState` writes it. Replicas read and write it under the row's lock, so that
-- together they send no more than one of them might.
CREATE TABLE budgets (
    workspace   text COLLATE "C" PRIMARY KEY,
    state       text    NOT NULL
) WITH (fillfactor = 50);
