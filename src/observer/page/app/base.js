// The address of the routes: the folder above the one of the scripts.
"use strict";

export const base = new URL("../", import.meta.url);
