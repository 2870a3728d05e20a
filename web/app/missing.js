// The page for addresses where nothing is.

import { drawIcons } from "./icons.js";
import { startTranslation } from "./i18n.js";

drawIcons(document);
startTranslation();
